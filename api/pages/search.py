"""The search box: any id, e-mail, name or number leads to its page."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.access.visibility import own_partner
from api.ids import customer_id_of, partner_id_of, possible_lead_ids, product_id_of
from api.pages.rendering import led_to, page
from api.problems import Problem
from api.routes.bills import found_bill
from api.routing import Route
from api.state import state_of
from db.bills import records
from db.core.engine import transaction
from db.core.row_keys import partner_uuid, uuid_from_text
from db.masters import customers, partners, products
from db.reports import leads_on_record

router = APIRouter(route_class=Route, include_in_schema=False)
_MOST_PARTNERS = 20


class Hit(NamedTuple):
    """Something that was found: what it is, its name and its page."""

    kind: str
    name: str
    path: str


@router.get("/search", dependencies=[requires(Permission.READ, within_partner=True)])
async def search(request: Request, q: str = "") -> Response:
    """Lead to the page of what is called so; if several are, or none, say so."""
    text = q.strip()
    hits: list[Hit] = []
    async with transaction(state_of(request).engine, readonly=True) as connection:
        for look in (_bills, _partners, _products, _people, _leads) if text else ():
            try:
                hits += await look(request, connection, text)
            except Problem:
                continue
    if len(hits) == 1:
        return led_to(request, hits[0].path)
    return page(request, "search.html", q=text, hits=hits)


Look = Callable[[Request, asyncpg.Connection, str], Awaitable[list[Hit]]]


async def _bills(request: Request, connection: asyncpg.Connection, text: str) -> list[Hit]:
    bill_id = await records.find(connection, text.upper(), uuid_from_text(text))
    if bill_id is None:
        return []
    bill = await found_bill(request, connection, bill_id)
    return [Hit("Bill", bill.head.number or "without a number yet", f"/bills/{bill_id}")]


async def _partners(request: Request, connection: asyncpg.Connection, text: str) -> list[Hit]:
    within = own_partner(request)
    try:
        found = [await partners.read(connection, await partner_id_of(connection, text, within=within))]
    except Problem:
        if within:
            return []
        found = [*await partners.read_page(connection, after=None, limit=_MOST_PARTNERS, search=text)]
    return [Hit("Partner", each.name, f"/partners/{each.id}") for each in found if each]


async def _products(request: Request, connection: asyncpg.Connection, text: str) -> list[Hit]:
    product = await products.read(connection, await product_id_of(connection, text, within=own_partner(request)))
    return [Hit("Product", product.name, f"/partners/{product.partner_id}/products")]


async def _people(request: Request, connection: asyncpg.Connection, text: str) -> list[Hit]:
    within = own_partner(request)
    if "@" in text and within is None and (by_email := await customers.find_by_email(connection, text)):
        customer_id: UUID = by_email
    else:
        customer_id = await customer_id_of(connection, text, within=within)
    person = await customers.read(connection, customer_id)
    return [Hit("Person", person.name if within is None else person.external_id, f"/people/{customer_id}")]


async def _leads(request: Request, connection: asyncpg.Connection, text: str) -> list[Hit]:
    found = await leads_on_record.rows(connection, possible_lead_ids("", text))
    within = own_partner(request)
    return [
        Hit("Lead", lead.external_id, f"/activity/{lead.id}")
        for lead in found.values()
        if within in (None, partner_uuid(lead.partner))
    ]
