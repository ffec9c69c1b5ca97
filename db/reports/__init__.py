"""Billing reports: live figures, explained actions, and the files of written versions."""
