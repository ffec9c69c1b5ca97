"""R16: from when changed terms, time zones and rates count."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from billing.errors import RuleViolation
from billing.periods import Calendar
from billing.policy import Policy
from billing.rates import RateCard
from billing.term_starts import start_of_terms, start_of_timezone
from billing.terms import Terms, TermsHistory

APRIL, MAY, JUNE = 202404, 202405, 202406


def policy(closed_through: int | None = None, timezone: str = "UTC") -> Policy:
    partner_id = uuid4()
    return Policy(
        partner_id=partner_id,
        currency="EUR",
        version=1,
        closed_through=closed_through,
        calendar=Calendar({0: timezone}),
        terms=TermsHistory([(0, Terms())]),
        card=RateCard(partner_id, []),
    )


@pytest.mark.parametrize(
    ("closed_through", "asked", "start"),
    [(None, None, 0), (None, APRIL, APRIL), (APRIL, None, MAY), (APRIL, MAY, MAY), (APRIL, JUNE, JUNE)],
)
def test_r16_terms_start_as_asked_or_with_the_first_open_period(
    closed_through: int | None, asked: int | None, start: int
) -> None:
    assert start_of_terms(policy(closed_through), asked) == start


def test_r16_terms_do_not_start_in_a_closed_period() -> None:
    with pytest.raises(RuleViolation) as refusal:
        start_of_terms(policy(APRIL), APRIL)
    assert str(refusal.value) == "Terms cannot start in April 2024: it is closed; the first open period is May 2024."


@pytest.mark.parametrize(
    ("now", "old", "new", "start"),
    [
        (datetime(2024, 4, 30, 9, tzinfo=UTC), "UTC", "Pacific/Kiritimati", MAY),
        (datetime(2024, 4, 30, 10, tzinfo=UTC), "UTC", "Pacific/Kiritimati", JUNE),
        (datetime(2024, 4, 30, 10, tzinfo=UTC), "Pacific/Kiritimati", "UTC", JUNE),
        (datetime(2024, 12, 31, 23, tzinfo=UTC), "UTC", "Europe/Berlin", 202502),
        (datetime(2024, 12, 31, 22, tzinfo=UTC), "UTC", "Europe/Berlin", 202501),
    ],
)
def test_r16_a_time_zone_starts_with_the_first_period_that_has_begun_in_neither_zone(
    now: datetime, old: str, new: str, start: int
) -> None:
    assert start_of_timezone(policy(timezone=old), new, now) == start
