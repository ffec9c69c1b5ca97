"""Ids in paths, queries and bodies: UUIDs or the callers' own; the row key of either is computed (R1)."""

from uuid import UUID

import asyncpg

from api.paging import cursor_from_place, not_a_place, place_from_cursor
from api.problems import FieldError, Problem
from billing.bills.account import EntryKind
from billing.errors import InvalidValue
from billing.identity import check_id
from db.bills import records
from db.core.row_keys import customer_uuid, document_uuid, lead_uuid, partner_uuid, product_uuid, uuid_from_text
from db.masters import carried_ids, customers, partners, products


async def partner_id_of(connection: asyncpg.Connection, text: str, *, within: UUID | None = None) -> UUID:
    """Row key of a partner; Problem 404 if there is none, or if it is not the one that a caller is bound to."""
    partner_id = partner_uuid(_checked(text))
    if within not in (None, partner_id) or not await partners.exists(connection, partner_id):
        raise Problem(404, f"There is no partner {text!r}.")
    return partner_id


async def product_id_of(connection: asyncpg.Connection, text: str, *, within: UUID | None = None) -> UUID:
    """Row key of a product; Problem 404 if there is none, or if it is not one of the partner a caller is bound to."""
    product_id = product_uuid(_checked(text))
    known = await products.partners_of(connection, [product_id])
    if product_id not in known or within not in (None, known[product_id]):
        raise Problem(404, f"There is no product {text!r}.")
    return product_id


async def customer_id_of(connection: asyncpg.Connection, text: str, *, within: UUID | None = None) -> UUID:
    """Row key of the person behind a customer id or alias; Problem 404 if there is none.

    So it is for an id that no lead carried of the partner that a caller is bound to.
    """
    row_id = customer_uuid(_checked(text))
    known = (await customers.resolve(connection, [row_id])).get(row_id)
    if known is None or (within and not await carried_ids.is_carried(connection, within, known, row_id)):
        raise Problem(404, f"There is no customer {text!r}.")
    return known


def cursor_after(external_id: str) -> str:
    """`next` of a page of customers: the key of the id by which the caller is shown the last one."""
    return cursor_from_place(customer_uuid(external_id))


async def customer_before(
    connection: asyncpg.Connection, after: str | None, *, within: UUID | None = None
) -> UUID | None:
    """Row key of the customer after whom a page begins, see `cursor_after`.

    Problem 400 for an id that no lead carried of the partner that a caller is bound to: by places of its own choice it
    would find between which two a person stands, and so the key of an id that others sent.
    """
    shown = place_from_cursor(after, UUID)
    if shown is None:
        return None
    known = (await customers.resolve(connection, [shown])).get(shown, shown)
    if within and not await carried_ids.is_carried(connection, within, known, shown):
        raise not_a_place()
    return known


async def bill_id_of(connection: asyncpg.Connection, text: str) -> UUID:
    """Row key of a bill by its id or its number; Problem 404 if there is none."""
    bill_id = await records.find(connection, text, uuid_from_text(text))
    if bill_id is None:
        raise Problem(404, f"There is no bill {text!r}.")
    return bill_id


def document_id_of(kind: EntryKind, text: str) -> UUID:
    """Row key of what is entered on accounts."""
    return document_uuid(kind, _checked(text))


def possible_lead_ids(source: str, text: str) -> list[UUID]:
    """Row keys that a lead id may stand for: that of the caller's own id, or the row key itself."""
    own = uuid_from_text(text)
    return list(dict.fromkeys([lead_uuid(source, _checked(text)), *([own] if own else [])]))


def _checked(text: str) -> str:
    try:
        return check_id(text)
    except InvalidValue as error:
        raise Problem(400, f"An id {error}.", [FieldError("path", str(error))]) from None
