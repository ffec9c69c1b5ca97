"""Lists: links to the pages beside one, which hold all that was asked for."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from urllib.parse import urlencode

from fastapi import Request

PER_PAGE = 50


def link(path: str, query: Mapping[str, object]) -> str:
    """A path with a query, without what is empty."""
    said = urlencode({name: value for name, value in query.items() if value not in (None, "", False)})
    return f"{path}?{said}" if said else path


def beside(request: Request, query: Mapping[str, object], following: str | None) -> dict[str, str]:
    """The links `newer` and `older` of a list; each empty if there is none."""
    path = request.url.path
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


def up_to(count: int, most: int) -> str:
    """A count that stops somewhere: "10,000+"."""
    return f"{most:,}+" if count > most else f"{count:,}"
