"""Periods: half-open months in the partner's zone, whatever its clock does (R11, R16)."""

from datetime import UTC, datetime, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.errors import InvalidValue
from billing.periods import (
    Calendar,
    next_period,
    period_from_text,
    previous_period,
    text_from_period,
)
from billing.terms import DuplicateWindow
from tests.oracle.periods import Calendar as OracleCalendar
from tests.oracle.periods import following, preceding

ZONES = sorted(available_timezones())
instants = st.datetimes(datetime(1901, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC))


@given(st.sampled_from(ZONES), instants)
def test_r11_the_own_period_is_the_month_of_the_partners_clock(zone: str, at: datetime) -> None:
    calendar = Calendar({0: zone})
    period = calendar.period_of(at)
    assert text_from_period(period) == OracleCalendar(zone).period_of(at)
    assert calendar.start_of(period) <= at < calendar.end_of(period) == calendar.start_of(next_period(period))


@given(st.sampled_from(ZONES), st.integers(1901, 2099), st.integers(1, 12))
def test_r11_a_period_is_half_open(zone: str, year: int, month: int) -> None:
    calendar, period = Calendar({0: zone}), year * 100 + month
    start = calendar.start_of(period)
    assert calendar.period_of(start) == period
    assert calendar.period_of(start - timedelta(microseconds=1)) == previous_period(period)
    assert timedelta(days=26) < calendar.end_of(period) - start < timedelta(days=33)


@pytest.mark.parametrize(
    ("zone", "starts"),
    [
        ("Pacific/Kiritimati", "2024-03-31T10:00:00+00:00"),
        ("Etc/GMT+12", "2024-04-01T12:00:00+00:00"),
        ("Europe/Berlin", "2024-03-31T22:00:00+00:00"),
        ("Asia/Kathmandu", "2024-03-31T18:15:00+00:00"),
    ],
)
def test_r11_april_2024_begins(zone: str, starts: str) -> None:
    assert Calendar({0: zone}).start_of(202404).isoformat() == starts


def test_r16_stored_bounds_win_over_the_time_zone() -> None:
    start = datetime(2024, 4, 1, 5, tzinfo=UTC)
    calendar = Calendar({0: "UTC", 202405: "Europe/Berlin"}, {202404: start})
    assert calendar.start_of(202404) == start
    assert calendar.period_of(start - timedelta(hours=1)) == 202403
    assert calendar.end_of(202404) == datetime(2024, 4, 30, 22, tzinfo=UTC)


@given(st.integers(1900, 9998), st.integers(1, 12))
def test_periods_follow_each_other(year: int, month: int) -> None:
    period = year * 100 + month
    text = text_from_period(period)
    assert period_from_text(text) == period
    assert text_from_period(next_period(period)) == following(text)
    assert text_from_period(previous_period(period)) == preceding(text)


@pytest.mark.parametrize(
    "text", ["", "2024", "2024-13", "2024-00", "1899-12", "24-04", "2024-4", "2024-04-01", " 2024-04"]
)
def test_anything_else_is_no_period(text: str) -> None:
    with pytest.raises(InvalidValue):
        period_from_text(text)


@given(instants, instants, st.integers(1, 12))
def test_r6_no_two_kinds_of_window_share_a_slot(one: datetime, other: datetime, month: int) -> None:
    forever, period, days = DuplicateWindow(), DuplicateWindow("period"), DuplicateWindow("days", 3)
    own = one.year * 100 + month
    assert len({forever.bucket(one, own), period.bucket(one, own), days.bucket(one, own)}) == 3
    assert (days.bucket(one, own) == days.bucket(other, own)) is (one == other)
    assert -(2**63) <= days.bucket(one, own) < 2**63


def test_r6_the_slot_of_an_instant_is_no_period_and_not_for_ever() -> None:
    """Midnight of 1 January 1970, which callers send for want of an instant, had the slot of "for ever"."""
    days = DuplicateWindow("days", 3)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert days.bucket(epoch, 197001) != DuplicateWindow().bucket(epoch, 197001)
    at = epoch + timedelta(microseconds=197001)
    assert days.bucket(at, 197001) != DuplicateWindow("period").bucket(at, 197001)
