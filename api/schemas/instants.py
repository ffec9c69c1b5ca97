"""Instants and days on the wire (R13): RFC 3339 with a time zone, never a number, never finer than microseconds."""

import re
from datetime import UTC, date, datetime, time

from billing.errors import InvalidValue

EARLIEST = datetime(1901, 1, 1, tzinfo=UTC)

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?(Z|z|[+-]\d\d:\d\d)?", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def instant_from_text(value: object) -> datetime:
    """Read an instant of 1901 or later, as UTC; raises InvalidValue for every other value."""
    match = _INSTANT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise InvalidValue('must be an RFC 3339 string with a time zone, like "2024-04-01T10:00:00Z"')
    if match[2] is None:
        raise InvalidValue('must have a time zone: end it with "Z" or an offset like "+02:00"')
    if match[1] and len(match[1]) > 7:
        raise InvalidValue("must not have more than 6 fraction digits")
    try:
        instant = datetime.fromisoformat(match[0].upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidValue("is not a date and time that exists") from None
    if instant < EARLIEST:
        raise InvalidValue("lies before 1901")
    return instant


def day_from_text(value: object) -> date:
    """Read a day; raises InvalidValue for every other value."""
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise InvalidValue('must be a day, like "2024-04-01"')
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise InvalidValue("is not a day that exists") from None


def day_or_instant_from_text(value: object) -> datetime:
    """Read an instant, or a day as its first instant in UTC; raises InvalidValue for every other value."""
    if isinstance(value, str) and _DAY.fullmatch(value):
        return datetime.combine(day_from_text(value), time(), UTC)
    return instant_from_text(value)
