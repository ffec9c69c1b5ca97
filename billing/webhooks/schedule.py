"""When a message is sent again, how long its webhook rests, and when the webhook is disabled."""

from datetime import datetime, timedelta

_SECOND, _MINUTE, _HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)

RETRIES = (
    5 * _SECOND,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
)
"""How long after each failed attempt the next one follows; after the last of them the message is given up."""

DISABLED_AFTER = timedelta(days=5)
"""A webhook of which nothing else than failures came for so long is disabled."""

_LONGEST_REST = timedelta(minutes=1)


def next_attempt(attempts: int, failed_at: datetime) -> datetime | None:
    """When to try again what was tried so many times; None: it is given up."""
    return failed_at + RETRIES[attempts - 1] if attempts <= len(RETRIES) else None


def rest(failures: int) -> timedelta:
    """How long a webhook rests after so many failures in a row, whatever waits for it: up to a minute."""
    return min(_SECOND * 2 ** min(failures, 10), _LONGEST_REST) if failures > 1 else timedelta()


def is_disabled(failing_since: datetime, now: datetime) -> bool:
    """Whether a webhook that fails again now has failed for too long."""
    return now - failing_since >= DISABLED_AFTER
