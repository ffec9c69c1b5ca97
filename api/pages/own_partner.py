"""What a partner's own people see first: what they owe, what they were billed, and what they saved."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.access.visibility import own_partner
from api.pages.partners.heading import heading_of
from api.pages.rendering import led_to, page
from api.routing import Route
from api.state import state_of
from db.account import ageing, booking
from db.bills import records
from db.bills.filters import BillFilter
from db.core.engine import transaction
from db.reports import live_report

router = APIRouter(route_class=Route, include_in_schema=False)
_MOST_BILLS = 5


@router.get("/partner", dependencies=[requires(Permission.READ, within_partner=True)])
async def show_own_partner(request: Request) -> Response:
    """The partner of whoever asks; our own people are led to all partners."""
    within = own_partner(request)
    if within is None:
        return led_to(request, "/partners")
    now = datetime.now(UTC)
    async with transaction(state_of(request).engine, readonly=True) as connection:
        heading = await heading_of(request, connection, str(within))
        newest = await live_report.page(
            connection, partner_id=within, customer_id=None, first=190001, last=999912, after=None, limit=1
        )
        report = await live_report.read(connection, within, newest[0][1]) if newest else None
        only = BillFilter(partner_id=within, issued_only=True)
        bills = await records.page(connection, only, before=None, limit=_MOST_BILLS)
        today = await booking.booking_day(connection, within, now)
        owed = await ageing.of_partner(connection, within, today)
    return page(
        request,
        "own_partner.html",
        language=heading.language,
        heading=heading,
        report=report,
        bills=bills,
        owed=owed,
        today=today,
    )
