"""The audit: who changed what."""

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.pages.lists import PER_PAGE, beside, link
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
    first, last = _day(start), _day(end)
    only = AuditFilter(asked["who"] or None, asked["what"] or None, first, last and last + timedelta(days=1))
    async with transaction(state_of(request).engine, readonly=True) as connection:
        lines = await audit.page(connection, only, before=place_from_cursor(after, int), limit=PER_PAGE)
    following = cursor_from_place(lines[-1].id) if len(lines) == PER_PAGE else None
    links = beside(request, asked, following)
    return page(request, "settings/audit.html", lines=lines, asked=asked, link=link, links=links)


def _day(text: str) -> datetime | None:
    """The start of a day in UTC; None for what is no day, which filters nothing."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None
    except ValueError:
        return None
