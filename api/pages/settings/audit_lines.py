"""The audit: who changed what."""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.pages.lists import PER_PAGE, beside, day_in_utc, link
from api.pages.rendering import page
from api.pages.words import period
from api.paging import After, cursor_from_place, place_from_cursor
from api.routing import Route
from api.state import state_of
from db.access import audit, audit_subjects
from db.access.audit import AuditFilter, AuditLine
from db.access.audit_subjects import Subject
from db.core.engine import transaction
from db.core.row_keys import uuid_from_text

router = APIRouter(
    route_class=Route, include_in_schema=False, prefix="/settings/audit", dependencies=[requires(Permission.ADMIN)]
)
_PATHS = {
    "partner": "/partners/",
    "customer": "/people/",
    "user": "/settings/people/",
    "webhook": "/settings/webhooks/",
    "bill": "/bills/",
}
_FOUND_BY_ID = {"action", "return", "billing_run"}
"""Areas whose subjects have no name; the search leads from their ids to their pages."""
_ID_SHOWN = 8


class _About(NamedTuple):
    """What a line is about, and its page, empty if it has none."""

    name: str
    path: str


@router.get("")
async def show_audit(
    request: Request, who: str = "", what: str = "", start: str = "", end: str = "", after: After = None
) -> Response:
    """Changes, the newest first, of a person or key, of a kind, between two days (in UTC, both inclusive)."""
    asked = {"who": who.strip(), "what": what.strip(), "start": start, "end": end}
    first, last = day_in_utc(start), day_in_utc(end)
    only = AuditFilter(asked["who"] or None, asked["what"] or None, first, last and last + timedelta(days=1))
    async with transaction(state_of(request).engine, readonly=True) as connection:
        lines = await audit.page(connection, only, before=place_from_cursor(after, int), limit=PER_PAGE)
        named = await audit_subjects.named(connection, {key for each in lines if (key := uuid_from_text(each.subject))})
    following = cursor_from_place(lines[-1].id) if len(lines) == PER_PAGE else None
    links = beside(request, asked, following)
    about = [(each, _about(each, named)) for each in lines]
    return page(request, "settings/audit.html", lines=about, asked=asked, link=link, links=links)


def _about(line: AuditLine, named: Mapping[UUID, Subject]) -> _About:
    key = uuid_from_text(line.subject)
    if key is not None and (found := named.get(key)):
        name = f"{found.name}, {period(found.period)}" if found.period else found.name
        return _About(name, f"{_PATHS[found.kind]}{key}" if found.kind in _PATHS else "")
    if line.what.partition(".")[0] in _FOUND_BY_ID:
        return _About(line.subject[:_ID_SHOWN], link("/search", {"q": line.subject}))
    return _About(line.subject[:_ID_SHOWN] if key else line.subject, "")
