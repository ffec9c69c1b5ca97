"""The leads of the activity as a file."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, NamedTuple
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Depends, Request, Response

from api.access.permissions import Permission, requires
from api.access.visibility import sees_people
from api.pages.activity import Asked, filter_from_asked
from api.pages.exports import ExportKind, exported_list, money
from api.routing import Route
from api.wire import instant_out
from billing.explain import totals_text
from billing.totals import Totals
from db.reports import leads_on_record
from db.reports.leads_on_record import LeadRow
from db.reports.sheets import Cell

router = APIRouter(route_class=Route, include_in_schema=False)
_Place = tuple[datetime, UUID]
_OF_PEOPLE = ("customer_name", "customer_email")


class _Found(NamedTuple):
    """A lead, what became of its actions, and what of it was credited."""

    lead: LeadRow
    totals: Totals
    credited_minor: int


_COLUMNS: dict[str, Callable[[_Found], Cell]] = {
    "lead": lambda found: found.lead.external_id,
    "source": lambda found: found.lead.source,
    "partner": lambda found: found.lead.partner,
    "product": lambda found: found.lead.product,
    "customer": lambda found: found.lead.customer,
    "customer_name": lambda found: found.lead.customer_name,
    "customer_email": lambda found: found.lead.customer_email,
    "lead_type": lambda found: found.lead.lead_type,
    "created_at": lambda found: instant_out(found.lead.created_at),
    "received_at": lambda found: instant_out(found.lead.received_at),
    "actions": lambda found: found.totals.actions,
    "gross": lambda found: money(found.totals.gross_minor),
    "billed": lambda found: money(found.totals.billed_minor),
    "duplicate_savings": lambda found: money(found.totals.duplicate_savings_minor),
    "cap_savings": lambda found: money(found.totals.cap_savings_minor),
    "held": lambda found: money(found.totals.held_minor),
    "returned": lambda found: money(found.totals.returned_minor),
    "credited": lambda found: money(found.credited_minor),
    "currency": lambda found: found.lead.currency,
    "why": lambda found: totals_text(found.totals),
}


@router.get("/activity/export", dependencies=[requires(Permission.READ, within_partner=True)])
async def export_activity(request: Request, asked: Annotated[Asked, Depends()], kind: ExportKind = "csv") -> Response:
    """The same leads as a file, all of them."""
    people = sees_people(request)

    async def read(
        connection: asyncpg.Connection, before: _Place | None, limit: int
    ) -> tuple[list[_Found], _Place | None]:
        only = await filter_from_asked(request, connection, asked)
        order = leads_on_record.order_of(only)
        found = await leads_on_record.page(connection, only, before=before, limit=limit, newest_by=order, people=people)
        return [_Found(*each) for each in found.leads], found.next

    columns = {name: cell for name, cell in _COLUMNS.items() if people or name not in _OF_PEOPLE}
    return await exported_list(request, kind, "leads", columns, read)
