"""Periods: calendar months in a time zone, half open, written "YYYY-MM" so that text order is time order."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

PERIOD_FORM = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


def checked(period: str) -> str:
    """The period itself. Raises ValueError unless it is written YYYY-MM."""
    if not PERIOD_FORM.fullmatch(period):
        raise ValueError(f"not a period: {period}")
    return period


def following(period: str) -> str:
    """The month after."""
    year, month = int(period[:4]), int(period[5:])
    return f"{year + 1:04d}-01" if month == 12 else f"{year:04d}-{month + 1:02d}"


def preceding(period: str) -> str:
    """The month before."""
    year, month = int(period[:4]), int(period[5:])
    return f"{year - 1:04d}-12" if month == 1 else f"{year:04d}-{month - 1:02d}"


class Calendar:
    """The periods of a partner. A time zone counts from a period on, the first one from the beginning of time."""

    def __init__(self, timezone: str) -> None:
        self._zones = {"": ZoneInfo(timezone)}
        self._starts: dict[str, datetime] = {}

    def start(self, period: str) -> datetime:
        """The instant at which the period begins, which is where the one before it ends."""
        if period not in self._starts:
            in_force = max(since for since in self._zones if since <= period)
            self._starts[period] = _midnight(period, self._zones[in_force])
        return self._starts[period]

    def period_of(self, at: datetime) -> str:
        """The period that holds the instant: start <= instant < start of the next."""
        period = f"{at.year:04d}-{at.month:02d}"
        while at < self.start(period):
            period = preceding(period)
        while at >= self.start(following(period)):
            period = following(period)
        return period

    def change_zone(self, timezone: str, now: datetime) -> None:
        """Use another time zone from the first period on that has begun in neither (R16)."""
        zone = ZoneInfo(timezone)
        first = following(self.period_of(now))
        while _midnight(first, zone) <= now:
            first = following(first)
        self._zones = {since: other for since, other in self._zones.items() if since < first} | {first: zone}
        self._starts.clear()


def _midnight(period: str, zone: ZoneInfo) -> datetime:
    """The 1st, 00:00 local time: the first of two where a clock is set back across midnight."""
    return datetime(int(period[:4]), int(period[5:]), 1, tzinfo=zone).astimezone(UTC)
