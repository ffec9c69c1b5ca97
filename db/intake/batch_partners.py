"""Requests that hold leads of one partner only, told by the products that the leads name."""

from contextlib import suppress
from uuid import UUID

import asyncpg
import msgspec

from db.core.row_keys import product_uuid
from db.intake.payloads import leads_from_payload
from db.intake.request_status import RequestStatus
from db.masters import partners, products

_MOST_LEADS_OF_ONE = 1_000
MOST_LEADS_LOOKED_AT = 20_000
"""For one page; it may hold fewer requests than were asked for, even none, and yet not be the last."""


async def holds_only(connection: asyncpg.Connection, batch_id: UUID, partner_id: UUID) -> bool:
    """Whether all leads of a request name products of a partner.

    False also where that is no longer known, because the retention removed the leads.
    """
    rows = await connection.fetch("SELECT id FROM inbox WHERE batch_id = $1 ORDER BY id", batch_id)
    for row in rows:
        payload = await connection.fetchval("SELECT payload FROM inbox WHERE id = $1", row["id"])
        try:
            named = {product_uuid(lead.product) for lead in leads_from_payload(payload)}
        except msgspec.MsgspecError:
            return False
        known = await products.partners_of(connection, named)
        if any(known.get(product_id) != partner_id for product_id in named):
            return False
    return bool(rows)


async def zone(connection: asyncpg.Connection, batch_id: UUID) -> str | None:
    """The time zone of the partner whom a request is about; None of one about several, or with many leads."""
    rows = await connection.fetch(
        """
        SELECT payload FROM inbox
        WHERE batch_id = $1 AND (SELECT sum(lead_count) FROM inbox WHERE batch_id = $1) <= $2
        """,
        batch_id,
        _MOST_LEADS_OF_ONE,
    )
    named: set[UUID] = set()
    for row in rows:
        with suppress(msgspec.MsgspecError):
            named |= {product_uuid(lead.product) for lead in leads_from_payload(row["payload"])}
    owners = set((await products.partners_of(connection, named)).values())
    zones = await partners.zones(connection, owners)
    return zones[owners.pop()] if len(owners) == 1 else None


async def of_partner(
    connection: asyncpg.Connection, page: list[tuple[int, RequestStatus]], partner_id: UUID
) -> tuple[list[tuple[int, RequestStatus]], int | None]:
    """Those of a page that hold leads of a partner only, and the place of the last one looked at if that is not all."""
    found, looked_at = [], 0
    for each in page:
        place, status = each
        if await holds_only(connection, status.batch_id, partner_id):
            found.append(each)
            looked_at += status.accepted
        if looked_at >= MOST_LEADS_LOOKED_AT:
            return found, place
    return found, None
