"""The leads of the activity as a file."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from api.access.permissions import Permission, requires
from api.access.visibility import sees_people
from api.pages.activity import Asked, filter_from_asked
from api.pages.exports import ROWS_AT_ONCE, ExportKind, Rows, all_pages, exported, money
from api.routing import Route
from api.state import state_of
from api.wire import instant_out
from billing.explain import totals_text
from billing.totals import Totals
from db.core.engine import transaction
from db.reports import leads_on_record
from db.reports.leads_on_record import LeadRow
from db.reports.sheets import Cell

router = APIRouter(route_class=Route, include_in_schema=False)
_Place = tuple[datetime, UUID]
_COLUMNS = (
    "lead",
    "source",
    "partner",
    "product",
    "customer",
    "customer_name",
    "customer_email",
    "lead_type",
    "created_at",
    "received_at",
    "actions",
    "gross",
    "billed",
    "duplicate_savings",
    "cap_savings",
    "held",
    "returned",
    "credited",
    "currency",
    "why",
)
_OF_PEOPLE = ("customer_name", "customer_email")


@router.get("/activity/export", dependencies=[requires(Permission.READ, within_partner=True)])
async def export_activity(request: Request, asked: Annotated[Asked, Depends()], kind: ExportKind = "csv") -> Response:
    """The same leads as a file, all of them."""
    people, state = sees_people(request), state_of(request)
    async with transaction(state.engine, readonly=True) as connection:
        only = await filter_from_asked(request, connection, asked)
        order = leads_on_record.order_of(only)
        # what fails is told before a file begins
        await leads_on_record.page(connection, only, before=None, limit=1, newest_by=order)
    head = tuple(name for name in _COLUMNS if people or name not in _OF_PEOPLE)

    async def rows() -> Rows:
        async with transaction(state.engine, readonly=True) as connection:

            async def read(before: _Place | None) -> tuple[list[list[Cell]], _Place | None]:
                found = await leads_on_record.page(connection, only, before=before, limit=ROWS_AT_ONCE, newest_by=order)
                return [_cells(head, *each) for each in found.leads], found.next

            async for some in all_pages(read):
                yield some

    return exported(request, kind, "leads", head, rows())


def _cells(head: Sequence[str], lead: LeadRow, totals: Totals, credited_minor: int) -> list[Cell]:
    cells = (
        lead.external_id,
        lead.source,
        lead.partner,
        lead.product,
        lead.customer,
        lead.customer_name,
        lead.customer_email,
        lead.lead_type,
        instant_out(lead.created_at),
        instant_out(lead.received_at),
        totals.actions,
        money(totals.gross_minor),
        money(totals.billed_minor),
        money(totals.duplicate_savings_minor),
        money(totals.cap_savings_minor),
        money(totals.held_minor),
        money(totals.returned_minor),
        money(credited_minor),
        lead.currency,
        totals_text(totals),
    )
    return [cell for name, cell in zip(_COLUMNS, cells, strict=True) if name in head]
