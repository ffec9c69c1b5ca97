"""Lists: links to the pages beside one, which hold all that was asked for."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from urllib.parse import quote, urlencode

from fastapi import Request

from api.problems import FieldError, Problem, path_of
from billing.errors import InvalidValue
from billing.periods import period_from_text

PER_PAGE = 50


def path_to(*parts: str) -> str:
    """A path of ours, whatever letters its parts have."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def link(path: str, query: Mapping[str, object]) -> str:
    """A path with a query, without what is empty."""
    said = urlencode({name: value for name, value in query.items() if value not in (None, "", False)})
    return f"{path}?{said}" if said else path


def beside(request: Request, query: Mapping[str, object], following: str | None) -> dict[str, str]:
    """The links `newer` and `older` of a list; each empty if there is none."""
    path = path_of(request)
    return {
        "newer": link(path, query) if "after" in request.query_params else "",
        "older": link(path, {**query, "after": following}) if following else "",
    }


def day_in_utc(text: str) -> datetime | None:
    """The start of a day in UTC; None for what is no day, and for the last day there is: they filter nothing."""
    try:
        day = date.fromisoformat(text)
        return datetime(day.year, day.month, day.day, tzinfo=UTC) if day < date.max else None
    except ValueError:
        return None


def month_from_text(text: str) -> int:
    """A month that was typed; Problem 400 with the field `period` for what is none."""
    try:
        return period_from_text(text)
    except InvalidValue as error:
        raise Problem(400, f"The month {error}.", [FieldError("#/period", str(error))]) from None


def up_to(count: int, most: int) -> str:
    """A count that stops somewhere: "10,000+"."""
    return f"{most:,}+" if count > most else f"{count:,}"
