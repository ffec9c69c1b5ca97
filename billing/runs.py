"""Runs of the monthly billing (M1, M2): which period of a partner is due, and how an item of a run can end."""

from datetime import datetime
from enum import StrEnum

from billing.periods import Calendar, next_period, previous_period

MOST_ATTEMPTS = 3
"""So often an item is tried; then it is a dead letter, which only a person retries."""

_RETRY_AFTER_S = (5.0, 30.0)


class Outcome(StrEnum):
    """How an item ended. `skipped` needs no bill; `waiting` is left to people."""

    SUCCESSFUL = "successful"
    FAILED = "failed"
    SKIPPED = "skipped"
    WAITING = "waiting"


def last_ended_period(calendar: Calendar, at: datetime) -> int:
    """The newest period that has ended by an instant in UTC."""
    period = next_period(at.year * 100 + at.month)
    while calendar.end_of(period) > at:
        period = previous_period(period)
    return period


def retry_after_s(attempts: int) -> float | None:
    """How long an item that has failed so often waits; None if it is a dead letter."""
    return _RETRY_AFTER_S[attempts - 1] if attempts < MOST_ATTEMPTS else None


def exceeds(threshold_percent: float | None, before_minor: int | None, now_minor: int) -> bool:
    """Whether a bill differs from that of the month before by more than so many percent; a first bill never does."""
    if threshold_percent is None or before_minor is None:
        return False
    return abs(now_minor - before_minor) * 100 > threshold_percent * abs(before_minor)
