"""The search box: any id, e-mail, name or number leads to its page."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import asyncpg
from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, caller_of, requires
from api.access.visibility import own_partner
from api.ids import customer_id_of, partner_id_of, possible_lead_ids, product_id_of
from api.pages.rendering import led_to, page
from api.problems import Problem
from api.routes.bills import found_bill
from api.routing import Route
from api.state import state_of
from db.access import users
from db.bills import records
from db.core.engine import transaction
from db.core.row_keys import customer_uuid, partner_uuid, uuid_from_text
from db.intake import request_status
from db.ledger import what_if
from db.masters import carried_ids, customers, partners, products
from db.reports import leads_on_record
from db.reports.explained_actions import action_line
from db.runs import records as runs
from db.tasks import records as tasks

router = APIRouter(route_class=Route, include_in_schema=False)
MOST_OF_A_KIND = 20


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
    has_more = False
    async with transaction(state_of(request).engine, readonly=True) as connection:
        for look in (_bills, _partners, _products, _people, _users, _leads, _work) if text else ():
            try:
                found = await look(request, connection, text)
            except Problem:
                continue
            hits += found[:MOST_OF_A_KIND]
            has_more |= len(found) > MOST_OF_A_KIND
    if len(hits) == 1 and not has_more:
        return led_to(request, hits[0].path)
    return page(request, "search.html", q=text, hits=hits, most=MOST_OF_A_KIND if has_more else None)


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
        found = [*await partners.read_page(connection, after=None, limit=MOST_OF_A_KIND + 1, search=text)]
    return [Hit("Partner", each.name, f"/partners/{each.id}") for each in found if each]


async def _products(request: Request, connection: asyncpg.Connection, text: str) -> list[Hit]:
    within = own_partner(request)
    try:
        found = [await products.read(connection, await product_id_of(connection, text, within=within))]
    except Problem:
        found = await products.find_by_name(connection, text, partner_id=within, limit=MOST_OF_A_KIND + 1)
    return [Hit("Product", each.name, f"/partners/{each.partner_id}/products") for each in found]


async def _people(request: Request, connection: asyncpg.Connection, text: str) -> list[Hit]:
    within = own_partner(request)
    try:
        by_email = await customers.find_by_email(connection, text) if within is None else None
        found = [await customers.read(connection, by_email or await customer_id_of(connection, text, within=within))]
    except Problem:
        found = await customers.find_by_name(connection, text, limit=MOST_OF_A_KIND + 1) if within is None else []
    if within:
        named = [await carried_ids.first(connection, within, each.id) for each in found]
        return [Hit("Person", own_id, f"/people/{customer_uuid(own_id)}") for own_id in named]
    return [Hit("Person", each.name, f"/people/{each.id}") for each in found]


async def _users(request: Request, connection: asyncpg.Connection, text: str) -> list[Hit]:
    """Those who sign in, for Admins."""
    if not caller_of(request).may(Permission.ADMIN):
        return []
    found = await users.find(connection, text, uuid_from_text(text), limit=MOST_OF_A_KIND + 1)
    return [Hit("User", each.name, f"/settings/people/{each.id}") for each in found]


async def _leads(request: Request, connection: asyncpg.Connection, text: str) -> list[Hit]:
    source, _, of_source = text.partition("/")
    ids = [*possible_lead_ids("", text), *(possible_lead_ids(source, of_source) if of_source else [])]
    for recent in await leads_on_record.recent_sources(connection):
        ids += possible_lead_ids(recent, text)
    if (own := uuid_from_text(text)) and (line := await action_line(connection, own)):
        ids.append(line.explained.verdict.action.lead_id)
    found = await leads_on_record.rows(connection, ids)
    within = own_partner(request)
    return [
        Hit("Lead", lead.external_id, f"/activity/{lead.id}")
        for lead in found.values()
        if within in (None, partner_uuid(lead.partner))
    ]


async def _work(request: Request, connection: asyncpg.Connection, text: str) -> list[Hit]:
    """Runs, batches of leads and what-ifs by their ids, for people of ours."""
    own = uuid_from_text(text)
    if own is None or own_partner(request) is not None:
        return []
    hits = []
    if await runs.read(connection, own):
        hits.append(Hit("Run", text, f"/runs/{own}"))
    if await request_status.status(connection, own):
        hits.append(Hit("Batch of leads", text, f"/import/{own}"))
    task = await tasks.read(connection, own)
    if task and task.kind == what_if.KIND:
        hits.append(Hit("What if", text, f"/what-if/{own}"))
    return hits
