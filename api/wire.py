"""Values in JSON, the same everywhere: money as decimal strings, instants in UTC, periods as "2024-04"."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from fastapi import Response

from billing.money import amount_from_minor
from billing.totals import Totals

_encode = msgspec.json.Encoder().encode


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response encoded by msgspec, so `content` holds only what that encodes: wire values, dicts and lists."""
    return _JsonResponse(_encode(content), status, headers or {})


def list_response(items: Sequence[Any]) -> Response:
    """A list that is whole, in the form of a page."""
    return json_response({"items": items, "next": None})


def instant_out(instant: datetime | None) -> str | None:
    """An instant as RFC 3339 in UTC: "2024-04-01T10:00:00Z"."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z") if instant else None


def amount_out(minor: int | None) -> str | None:
    """Money as "10.00"; None where there is none."""
    return None if minor is None else amount_from_minor(minor)


def totals_out(totals: Totals, credited_minor: int | None) -> dict[str, Any]:
    """Totals by their public names; net = billed - credited, both None where what was credited is not known (R14)."""
    return {
        "leads": totals.leads,
        "actions": totals.actions,
        "gross": amount_from_minor(totals.gross_minor),
        "billed": amount_from_minor(totals.billed_minor),
        "credited": amount_out(credited_minor),
        "net": None if credited_minor is None else amount_from_minor(totals.billed_minor - credited_minor),
        "duplicate_savings": amount_from_minor(totals.duplicate_savings_minor),
        "cap_savings": amount_from_minor(totals.cap_savings_minor),
        "savings": amount_from_minor(totals.savings_minor),
        "held": amount_from_minor(totals.held_minor),
        "returned": amount_from_minor(totals.returned_minor),
    }


class _JsonResponse(Response):
    """A response with given headers only: Starlette's looks for missing ones, which takes longer."""

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str]) -> None:
        self.status_code, self.body, self.background = status, body, None
        named = {"content-type": "application/json", "content-length": str(len(body)), **headers}
        self.raw_headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in named.items()]
