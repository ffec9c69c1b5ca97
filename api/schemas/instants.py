"""Instants and days on the wire (R13): RFC 3339 with a time zone, never a number, never finer than microseconds.

What means one instant only is taken: `Z`, `+02:00`, `+0200` and `+02`, and zeros beyond the sixth fraction digit. What
is refused is answered by the sentence that fits it.
"""

import re
from datetime import UTC, date, datetime, time

from billing.errors import InvalidValue

EARLIEST = datetime(1901, 1, 1, tzinfo=UTC)
_NEVER = datetime.max.replace(tzinfo=UTC)  # the driver stores it as Postgres' infinity, and reads that without a zone

_EXAMPLE = '"2024-04-01T10:00:00Z"'
_MOST_DIGITS = 6
_DATE_AND_TIME = r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d"
_INSTANT = re.compile(
    rf"{_DATE_AND_TIME}(\.\d+)?(Z|z|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)?",
    re.ASCII,
)
_LEAP_SECOND = "is a leap second, which no clock here has: send the second before or after it"
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_ODD_OFFSET = re.compile(rf"{_DATE_AND_TIME}(\.\d+)?[+-]\d\d(:?\d\d)?", re.ASCII)
_MISSING_PLUS = re.compile(rf"{_DATE_AND_TIME}(\.\d+)? \d\d(:?\d\d)?", re.ASCII)
_NAMED_ZONE = re.compile(rf"{_DATE_AND_TIME}(?:\.\d+)? ?([A-Za-z][A-Za-z/_]*)", re.ASCII)
_MAIL_DATE = re.compile(r"(?:[A-Z][a-z]{2}, )?\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d(?::\d\d)? .*", re.ASCII)


def instant_from_text(value: object) -> datetime:
    """Read an instant of 1901 or later, as UTC; raises InvalidValue for every other value, and for the last instant."""
    match = _INSTANT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise InvalidValue(_why_no_instant(value))
    fraction, zone = match.groups()
    if zone is None:
        raise InvalidValue('must have a time zone: end it with "Z" or an offset like "+02:00"')
    if fraction and fraction[_MOST_DIGITS + 1 :].strip("0"):
        raise InvalidValue(f"must not have more than {_MOST_DIGITS} fraction digits, but for zeros: they would be lost")
    try:
        instant = datetime.fromisoformat(match[0].upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidValue(_LEAP_SECOND if ":60" in match[0][:19] else "is not a date and time that exists") from None
    if instant < EARLIEST:
        raise InvalidValue("lies before 1901")
    if instant == _NEVER:
        raise InvalidValue("is the last instant there is, which cannot be kept")
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


def _why_no_instant(value: object) -> str:
    wanted = f"must be an RFC 3339 string with a time zone, like {_EXAMPLE}"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return wanted
    if not isinstance(value, str) or re.fullmatch(r"-?\d+(\.\d+)?", value, re.ASCII):
        return f"{wanted}, not a number"
    if _DAY.fullmatch(value):
        return f"{wanted}, not a day alone"
    if _MISSING_PLUS.fullmatch(value):
        return 'has a space where the offset has its sign; in a query "+" is written %2B'
    if _ODD_OFFSET.fullmatch(value):
        return "has an offset that no place has: hours go to 23 and minutes to 59"
    if zone := _NAMED_ZONE.fullmatch(value):
        instead = '"Z"' if zone[1].upper() in ("UTC", "GMT") else 'an offset like "+02:00"'
        return f"must end with {instead} instead of {zone[1][:40]!r}"
    if _MAIL_DATE.fullmatch(value):
        return f"is written as in e-mails (RFC 2822), and must be written as RFC 3339 has it, like {_EXAMPLE}"
    return wanted
