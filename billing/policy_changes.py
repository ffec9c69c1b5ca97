"""From when a change of terms, of a time zone or of rates counts (R16): never in a closed period."""

from collections.abc import Iterable
from datetime import UTC, date, datetime

from billing.errors import InvalidValue, RuleViolation
from billing.periods import name_of_period, next_period, start_of_period
from billing.policy import Policy


class InvalidRate(InvalidValue):
    """A rate rule that can never count. `field` names the field that is wrong, the message says what is wrong."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field


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


def check_term_dates(start_date: date | None, end_date: date | None) -> None:
    """RuleViolation for terms that end before they start."""
    if start_date and end_date and end_date < start_date:
        raise RuleViolation(f"The terms would end on {end_date}, before they start on {start_date}.")


def start_of_timezone(policy: Policy, timezone: str, now: datetime) -> int:
    """The first period that has begun neither in the present time zone nor in the new one."""
    start = next_period(policy.calendar.period_of(now))
    return next_period(start) if start_of_period(start, timezone) <= now else start


def start_of_rate(policies: Iterable[Policy], asked: datetime | None) -> datetime | None:
    """The instant from which a rule counts that can price actions of these partners; None is the beginning of time.

    By default the earliest instant at which no partner has a closed period. RuleViolation if an earlier one is asked.
    """
    starts = [policy.calendar.start_of(policy.first_open) for policy in policies if policy.first_open]
    earliest = max(starts, default=None)
    if asked is None or earliest is None:
        return asked or earliest
    if asked < earliest:
        raise RuleViolation(
            "The rule would start in a closed period of a partner it touches; "
            f"it can start at {_utc_text(earliest)} or later."
        )
    return asked


def _utc_text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
