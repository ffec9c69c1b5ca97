"""The account of a partner: its statement, and what is open by age."""

from datetime import UTC, date, datetime

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.pages.partners.heading import heading_of
from api.pages.rendering import page
from api.routing import Route
from api.state import state_of
from db.account import ageing, booking, statements
from db.core.engine import transaction

router = APIRouter(route_class=Route, include_in_schema=False, prefix="/partners/{partner}/statement")


@router.get("", dependencies=[requires(Permission.READ, within_partner=True)])
async def show_statement(request: Request, partner: str, start: str = "", end: str = "") -> Response:
    """What was booked from one day to another, both included; by default this year."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        heading = await heading_of(request, connection, partner)
        today = await booking.booking_day(connection, heading.partner.id, datetime.now(UTC))
        last = _day(end) or today
        first = min(_day(start) or last.replace(month=1, day=1), last)
        found = await statements.read(connection, heading.partner.id, first, last)
        owed = await ageing.of_partner(connection, heading.partner.id, today)
    return page(
        request,
        "partners/statement.html",
        language=heading.language,
        heading=heading,
        start=first,
        end=last,
        today=today,
        found=found,
        owed=owed,
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None
