"""All partners, and a new one."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import asyncpg
from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, caller_of, requires
from api.pages.exports import ExportKind, exported_list, files_of, money
from api.pages.forms import Form, submitted
from api.pages.lists import PER_PAGE, beside, path_to
from api.pages.rendering import led_to, page
from api.pages.sorting import Sorting, in_query
from api.paging import After, cursor_from_place, place_from_cursor
from api.routes.partners import create_partner
from api.routing import Route
from api.schemas.partners import PartnerIn
from api.state import state_of
from billing.bills.ageing import Ageing
from billing.periods import text_from_period
from db.account import ageing
from db.contracts import reading
from db.contracts.reading import Contract
from db.core.engine import transaction
from db.core.row_keys import partner_uuid
from db.masters import partners
from db.masters.partners import Partner, PartnerOrder, PartnerPlace
from db.reports.sheets import Cell

router = APIRouter(route_class=Route, include_in_schema=False)


class _Found(NamedTuple):
    """A partner, what is agreed with it, and what it owes today."""

    partner: Partner
    contract: Contract
    owed: Ageing


_COLUMNS: dict[str, Callable[[_Found], Cell]] = {
    "partner": lambda found: found.partner.external_id,
    "name": lambda found: found.partner.name,
    "closed_through": lambda found: (
        text_from_period(found.partner.closed_through) if found.partner.closed_through else None
    ),
    "time_zone": lambda found: found.partner.timezone,
    "customer_success_manager": lambda found: found.contract.csm.name if found.contract.csm else None,
    "currency": lambda found: found.partner.currency,
    "not_due": lambda found: money(found.owed.not_due_minor),
    "days_1_30": lambda found: money(found.owed.days_1_30_minor),
    "days_31_60": lambda found: money(found.owed.days_31_60_minor),
    "days_61_90": lambda found: money(found.owed.days_61_90_minor),
    "over_90": lambda found: money(found.owed.over_90_minor),
    "open": lambda found: money(found.owed.open_minor),
    "disputed": lambda found: money(found.owed.disputed_minor),
    "credit_left": lambda found: money(found.owed.left_minor),
}


_WAYS: dict[str, str] = {
    PartnerOrder.BY_ID: "own id",
    PartnerOrder.BY_ID_BACKWARDS: "own id, Z to A",
    PartnerOrder.BY_NAME: "name",
    PartnerOrder.BY_NAME_BACKWARDS: "name, Z to A",
    PartnerOrder.MOST_CLOSED: "closed furthest",
    PartnerOrder.LEAST_CLOSED: "closed least far",
    PartnerOrder.BY_CSM: "manager",
    PartnerOrder.BY_CSM_BACKWARDS: "manager, Z to A",
}


@router.get("/partners", dependencies=[requires(Permission.READ)])
async def show_partners(
    request: Request, q: str = "", order: PartnerOrder = PartnerOrder.BY_ID, after: After = None
) -> Response:
    """Partners by their own ids, or in another order; with `q` those whose id or name has it."""
    asked = {"q": q.strip(), "order": in_query(order, _WAYS)}
    async with transaction(state_of(request).engine, readonly=True) as connection:
        before = place_from_cursor(after, order.place_kind)
        found, following = await _page(connection, asked["q"], order, before, PER_PAGE)
        contracts = await reading.read_many(connection, [each.id for each in found])
    return page(
        request,
        "partners/directory.html",
        asked=asked,
        sorting=Sorting("/partners", asked, order, _WAYS),
        partners=found,
        contracts=contracts,
        may_create=caller_of(request).may(Permission.ADMIN),
        links=beside(request, asked, cursor_from_place(following) if following else None),
        files=files_of("/partners/export", asked),
    )


@router.get("/partners/export", dependencies=[requires(Permission.READ)])
async def export_partners(
    request: Request, kind: ExportKind = "csv", q: str = "", order: PartnerOrder = PartnerOrder.BY_ID
) -> Response:
    """The same partners as a file, all of them in the same order, each with what it owes today by age."""
    now = datetime.now(UTC)

    async def read(
        connection: asyncpg.Connection, before: PartnerPlace | None, limit: int
    ) -> tuple[list[_Found], PartnerPlace | None]:
        found, following = await _page(connection, q.strip(), order, before, limit)
        ids = [each.id for each in found]
        contracts, owed = await reading.read_many(connection, ids), await ageing.of_partners(connection, ids, now)
        return [_Found(each, contracts[each.id], owed[each.id]) for each in found], following

    return await exported_list(request, kind, "partners", _COLUMNS, read)


async def _page(
    connection: asyncpg.Connection, text: str, order: PartnerOrder, before: PartnerPlace | None, limit: int
) -> tuple[list[Partner], PartnerPlace | None]:
    return await partners.sorted_page(connection, order, before=before, limit=limit, search=text or None)


@router.get("/customers", dependencies=[requires(Permission.READ)])
async def lead_to_partners(request: Request) -> Response:
    """Approval apps call the billed companies customers."""
    return led_to(request, "/partners")


@router.get("/customers/{partner}", dependencies=[requires(Permission.READ)])
async def lead_to_partner(request: Request, partner: str) -> Response:
    """The overview of a partner, by the name that approval apps have for it."""
    return led_to(request, path_to("partners", partner))


@router.get("/partners/new", dependencies=[requires(Permission.ADMIN)])
async def show_new_partner(request: Request) -> Response:
    """The form for a new partner."""
    return await _show_new(request, Form())


@router.post("/partners/new", dependencies=[requires(Permission.ADMIN)])
async def create_partner_here(request: Request) -> Response:
    """Create a partner."""

    async def act(form: Form) -> Response:
        names = ("external_id", "name", "billing_email", "currency", "timezone")
        sent = {name: form.value(name).strip() for name in names} | {"cap": form.amount("cap") or None}
        body = form.read_as(PartnerIn, sent)
        await create_partner(request, body)
        said = f"{body.name} is there. Say next what is agreed with it."
        return led_to(request, f"/partners/{partner_uuid(body.external_id)}/terms", said)

    return await submitted(request, act, _show_new)


async def _show_new(request: Request, form: Form) -> Response:
    return page(request, "partners/new.html", status=form.status, form=form)
