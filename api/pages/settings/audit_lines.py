"""The audit: who changed what."""

from datetime import timedelta

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.pages.lists import PER_PAGE, beside, day_in_utc, link
from api.pages.rendering import page
from api.paging import After, cursor_from_place, place_from_cursor
from api.routing import Route
from api.state import state_of
from db.access import audit
from db.access.audit import AuditFilter
from db.core.engine import transaction

router = APIRouter(
    route_class=Route, include_in_schema=False, prefix="/settings/audit", dependencies=[requires(Permission.ADMIN)]
)


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
    following = cursor_from_place(lines[-1].id) if len(lines) == PER_PAGE else None
    links = beside(request, asked, following)
    return page(request, "settings/audit.html", lines=lines, asked=asked, link=link, links=links)
