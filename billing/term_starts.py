"""From when a change of terms or of a time zone counts (R16): never in a closed period."""

from datetime import datetime

from billing.errors import RuleViolation
from billing.periods import name_of_period, next_period, start_of_period
from billing.policy import Policy


def start_of_terms(policy: Policy, asked: int | None) -> int:
    """The period from which changed terms count: the one asked for, by default the first open one.

    RuleViolation if it is closed.
    """
    start = policy.first_open if asked is None else asked
    if start < policy.first_open:
        raise RuleViolation(
            f"Terms cannot start in {name_of_period(start)}: it is closed; the first open period is "
            f"{name_of_period(policy.first_open)}."
        )
    return start


def start_of_timezone(policy: Policy, timezone: str, now: datetime) -> int:
    """The first period that has begun neither in the present time zone nor in the new one."""
    start = next_period(policy.calendar.period_of(now))
    return next_period(start) if start_of_period(start, timezone) <= now else start
