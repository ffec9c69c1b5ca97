"""Keyset pages: `next` is an opaque position in the order, so pages stay right while rows are added."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Query

from api.problems import FieldError, Problem

Place = TypeVar("Place")

Limit = Annotated[int, Query(ge=1, le=500, description="how many items at most")]
After = Annotated[str | None, Query(max_length=2000, description="`next` of the page before")]


def cursor_from_place(place: Any) -> str:
    """A position in an order (JSON values, instants, UUIDs) as `next`."""
    return urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def place_from_cursor(cursor: str | None, kind: type[Place]) -> Place | None:
    """Read what `cursor_from_place` wrote; Problem 400 for any other text."""
    if cursor is None:
        return None
    try:
        place = msgspec.json.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=kind)
        _check(place)
    except (ValueError, OverflowError):
        raise not_a_place() from None
    return place


def not_a_place() -> Problem:
    """What is said of a text that is no `next` of the caller's."""
    return Problem(400, "`after` must be `next` of an earlier page.", [FieldError("query:after", "is not a place")])


def _check(place: Any) -> None:
    """Refuse values that no row can have and Postgres would not take."""
    match place:
        case tuple():
            for part in place:
                _check(part)
        case str() if "\0" in place:
            raise ValueError
        case int() if not -(2**63) <= place < 2**63:
            raise ValueError
        case datetime():
            place.astimezone(UTC)
            if place.tzinfo is None:
                raise ValueError
