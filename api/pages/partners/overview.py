"""One partner: what it is, its months, and what is missing before it can be billed."""

from datetime import UTC, datetime

import asyncpg
from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.access.visibility import own_partner
from api.pages.partners.heading import Heading, heading_of
from api.pages.rendering import page
from api.routing import Route
from api.state import state_of
from billing.bills.issuing import missing_in_parties
from billing.bills.values import Party
from db.account import ageing, booking
from db.bills import records
from db.bills.filters import BillFilter
from db.contracts import seller
from db.core.engine import transaction
from db.ledger.periods import figures

router = APIRouter(route_class=Route, include_in_schema=False)
_MOST_MONTHS = 12
_MOST_BILLS = 100


@router.get("/partners/{partner}", dependencies=[requires(Permission.READ, within_partner=True)])
async def show_partner(request: Request, partner: str) -> Response:
    """The overview of a partner."""
    state = state_of(request)
    async with transaction(state.engine, readonly=True) as connection:
        heading = await heading_of(request, connection, partner)
        partner_id = heading.partner.id
        policy = (await state.policies.load(connection, [partner_id]))[partner_id]
        months = (await figures(connection, policy))[::-1]
        only = BillFilter(partner_id=partner_id, is_note=False, issued_only=own_partner(request) is not None)
        bills = await records.page(connection, only, before=None, limit=_MOST_BILLS)
        today = await booking.booking_day(connection, partner_id, datetime.now(UTC))
        owed = await ageing.of_partner(connection, partner_id, today)
        missing = [] if own_partner(request) else await _missing(connection, heading)
    newest = {bill.period: bill for bill in reversed(bills)}
    return page(
        request,
        "partners/overview.html",
        heading=heading,
        language=heading.language,
        months=months[:_MOST_MONTHS],
        earlier=max(len(months) - _MOST_MONTHS, 0),
        bills=newest,
        policy=policy,
        owed=owed,
        missing=missing,
    )


async def _missing(connection: asyncpg.Connection, heading: Heading) -> list[str]:
    """What a bill would lack, were it issued now."""
    named, terms = await seller.read(connection), heading.contract.terms
    ours = Party(named.name, named.address, named.tax_id) if named else Party("")
    theirs = Party(heading.partner.name, terms.address, terms.tax_id)
    return missing_in_parties({terms.tax.category} if terms.tax else set(), ours, theirs)
