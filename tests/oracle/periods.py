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
    """The periods of one time zone."""

    def __init__(self, timezone: str) -> None:
        self._zone = ZoneInfo(timezone)
        self._starts: dict[str, datetime] = {}

    def start(self, period: str) -> datetime:
        """The instant at which the period begins: the 1st, 00:00 local time (the first of two)."""
        if period not in self._starts:
            midnight = datetime(int(period[:4]), int(period[5:]), 1, tzinfo=self._zone)
            self._starts[period] = midnight.astimezone(UTC)
        return self._starts[period]

    def period_of(self, at: datetime) -> str:
        """The period that holds the instant: start <= instant < start of the next."""
        local = at.astimezone(self._zone)
        period = f"{local.year:04d}-{local.month:02d}"
        # A clock set back across midnight shows the old month again after the new one has begun: the
        # bounds are instants, so they decide and not the face of the clock.
        if at < self.start(period):
            return preceding(period)
        if at >= self.start(following(period)):
            return following(period)
        return period
