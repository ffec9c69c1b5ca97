"""What the routes of payments, refunds and opening items have in common."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
from fastapi import Request, Response

from api.ids import bill_id_of, document_id_of, partner_id_of
from api.paging import cursor_from_place, place_from_cursor
from api.problems import Problem
from api.schemas.account import AllocationIn, document_out
from api.state import state_of, unit_of_work
from api.wire import json_response
from billing.bills.account import EntryKind
from db.account import entries, open_items
from db.bills import documents
from db.bills.documents import NAMES, Document
from db.core.engine import transaction
from db.core.unit_of_work import UnitOfWork


async def enter(uow: UnitOfWork, document: Document) -> Response:
    """Book a document; 201, or 200 if it is there already, just so."""
    entered = await documents.enter(uow, document, datetime.now(UTC))
    return json_response(await document_answer(uow.connection, document.kind, document.id), 201 if entered else 200)


async def list_page(request: Request, kind: EntryKind, partner: str | None, limit: int, after: str | None) -> Response:
    """A page of the documents of a kind, the newest first."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        partner_id = await partner_id_of(connection, partner) if partner else None
        before = place_from_cursor(after, tuple[datetime, UUID])
        found = await entries.page(connection, kind, partner_id=partner_id, before=before, limit=limit)
        others = await open_items.other_sides(connection, [each.entry.id for each in found])
    following = cursor_from_place((found[-1].entered_at, found[-1].entry.id)) if len(found) == limit else None
    items = [document_out(each, others.get(each.entry.id, [])) for each in found]
    return json_response({"items": items, "next": following})


async def show(request: Request, kind: EntryKind, text: str) -> Response:
    """One document by its id."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        return json_response(await document_answer(connection, kind, document_id_of(kind, text)))


async def reverse(request: Request, kind: EntryKind, text: str, reason: str) -> Response:
    """Take a document back."""
    entry_id = document_id_of(kind, text)
    async with unit_of_work(request) as uow:
        if not await documents.reverse(uow, kind, entry_id, reason, datetime.now(UTC)):
            raise no_document(kind, text)
        content = await document_answer(uow.connection, kind, entry_id)
    return json_response(content)


async def named_in(connection: asyncpg.Connection, allocations: list[AllocationIn]) -> dict[UUID, int]:
    """The bills that are named, and how much for each; Problem 404 for an unknown one, 400 for one named twice."""
    named = {await bill_id_of(connection, each.bill): each.amount for each in allocations}
    if len(named) != len(allocations):
        raise Problem(400, "A bill is named twice in the allocations.")
    return named


async def document_answer(connection: asyncpg.Connection, kind: EntryKind, entry_id: UUID) -> dict[str, Any]:
    """A document as it is answered; Problem 404 if there is none of this kind."""
    found = await entries.read(connection, entry_id)
    if found is None or found.entry.kind is not kind:
        raise no_document(kind, str(entry_id))
    others = await open_items.other_sides(connection, [entry_id])
    return document_out(found, others.get(entry_id, []))


def no_document(kind: EntryKind, text: str) -> Problem:
    """Problem 404."""
    return Problem(404, f"There is no {NAMES[kind]} {text!r}.")
