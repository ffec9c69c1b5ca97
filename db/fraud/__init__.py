"""Fraud: screens of a partner's month, the actions that they hold, and what people decide about them (M4)."""
