"""Which period of a partner has ended, when an item is tried again, and when a bill differs too much (M1, M2)."""

from datetime import UTC, datetime

import pytest

from billing.periods import Calendar
from billing.runs import exceeds, last_ended_period, retry_after_s


@pytest.mark.parametrize(
    ("timezone", "at", "period"),
    [
        ("UTC", datetime(2024, 5, 1, tzinfo=UTC), 202404),
        ("UTC", datetime(2024, 4, 30, 23, 59, tzinfo=UTC), 202403),
        ("Asia/Tokyo", datetime(2024, 4, 30, 15, tzinfo=UTC), 202404),
        ("America/New_York", datetime(2024, 5, 1, 3, 59, tzinfo=UTC), 202403),
        ("America/New_York", datetime(2025, 1, 1, 5, tzinfo=UTC), 202412),
    ],
)
def test_m2_a_month_ends_where_the_partner_is(timezone: str, at: datetime, period: int) -> None:
    assert last_ended_period(Calendar({0: timezone}), at) == period


def test_m1_three_attempts_and_then_a_dead_letter() -> None:
    assert [retry_after_s(attempts) for attempts in (1, 2, 3)] == [5.0, 30.0, None]


@pytest.mark.parametrize(
    ("percent", "before", "now", "too_much"),
    [
        (None, 100, 100_000, False),
        (10.0, None, 100_000, False),
        (10.0, 1000, 1100, False),
        (10.0, 1000, 1101, True),
        (10.0, 1000, 899, True),
        (10.0, -1000, -1100, False),
        (0.0, 0, 1, True),
    ],
)
def test_m1_a_bill_may_differ_by_the_threshold(
    percent: float | None, before: int | None, now: int, too_much: bool
) -> None:
    assert exceeds(percent, before, now) is too_much
