"""Runs of the monthly billing: what is due, what a run has done, and the billing of a partner's period."""
