"""Periods: calendar months in the partner's time zone, half open. A period is the integer 202404 for April 2024."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from billing.errors import InvalidValue
from billing.zones import zone

FIRST_PERIOD = 190001
LAST_PERIOD = 999911
_PERIOD = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_MONTHS = "January February March April May June July August September October November December".split()


def period_from_text(text: str) -> int:
    """Read "2024-04" as 202404; raises InvalidValue for anything else."""
    match = _PERIOD.fullmatch(text)
    period = int(match[1]) * 100 + int(match[2]) if match else 0
    if not FIRST_PERIOD <= period <= LAST_PERIOD:
        raise InvalidValue('must be a month from 1900 on, like "2024-04"')
    return period


def text_from_period(period: int) -> str:
    """Write 202404 as "2024-04"."""
    return f"{period // 100:04d}-{period % 100:02d}"


def name_of_period(period: int) -> str:
    """Write 202404 as "April 2024"."""
    return f"{_MONTHS[period % 100 - 1]} {period // 100}"


def next_period(period: int) -> int:
    """The month after."""
    return period + 1 if period % 100 < 12 else period + 89


def previous_period(period: int) -> int:
    """The month before."""
    return period - 1 if period % 100 > 1 else period - 89


def periods_between(first: int, last: int) -> Iterator[int]:
    """The months from the first to the last one, both included."""
    while first <= last:
        yield first
        first = next_period(first)


def start_of_period(period: int, timezone: str) -> datetime:
    """The UTC instant at which the month begins in that time zone."""
    return datetime(period // 100, period % 100, 1, tzinfo=zone(timezone)).astimezone(UTC)


@dataclass(slots=True)
class Calendar:
    """When each period of one partner begins.

    `stored` holds the beginnings that are already on record; they win over the time zone, so neither a change of the
    zone nor a new edition of the zone data ever moves a period that has begun. `zones` maps the first period of each
    time zone to its name; the smallest key counts from the beginning of time.
    """

    zones: Mapping[int, str]
    stored: Mapping[int, datetime] = field(default_factory=dict)
    _starts: dict[int, datetime] = field(default_factory=dict, repr=False)
    _bounds: dict[int, tuple[datetime, datetime]] = field(default_factory=dict, repr=False)

    def start_of(self, period: int) -> datetime:
        """The instant at which the period begins, which is where the one before it ends."""
        start = self._starts.get(period)
        if start is None:
            start = self.stored.get(period) or start_of_period(period, self.zone_of(period))
            self._starts[period] = start
        return start

    def end_of(self, period: int) -> datetime:
        """The first instant after the period."""
        return self.start_of(next_period(period))

    def zone_of(self, period: int) -> str:
        """The name of the time zone in force for the period."""
        return self.zones[max((p for p in self.zones if p <= period), default=min(self.zones))]

    def period_of(self, instant: datetime) -> int:
        """The period an instant lies in; the instant must be in UTC."""
        period = instant.year * 100 + instant.month
        bounds = self._bounds.get(period)
        if bounds is None:
            bounds = self._bounds[period] = self.start_of(period), self.end_of(period)
        if instant < bounds[0]:
            return previous_period(period)
        if instant >= bounds[1]:
            return next_period(period)
        return period
