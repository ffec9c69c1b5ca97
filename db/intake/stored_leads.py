"""The leads on record: which of a batch are there already, and storing those that are not (R1, R3)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from operator import attrgetter
from uuid import UUID

import asyncpg

from billing.identity import microseconds
from billing.texts import text_key
from db.core.row_keys import action_uuid
from db.intake.arrival import Arrival

_COLUMNS = [
    "id",
    "source",
    "external_id",
    "partner_id",
    "product_id",
    "customer_id",
    "lead_type",
    "created_at",
    "received_at",
]
_arrival_id = attrgetter("id")


@dataclass(slots=True)
class StoredLead:
    """A lead on record: what the same lead must agree with, its actions and their billing periods."""

    customer_id: UUID
    product_id: UUID
    lead_type_key: str
    actions: set[UUID] = field(default_factory=set)
    periods: set[int] = field(default_factory=set)


class StoredLeads(dict[UUID, StoredLead]):
    """Leads on record by their ids; `quarantined` has the ids, known or not, of which a message is in quarantine."""

    quarantined: frozenset[UUID] = frozenset()


async def find(connection: asyncpg.Connection, ids: Iterable[UUID]) -> StoredLeads:
    """The leads that are on record among `ids`, with their actions."""
    rows = await connection.fetch(
        """
        SELECT id, customer_id, product_id, lead_type FROM leads WHERE id = ANY($1::uuid[])
        UNION ALL
        SELECT lead_id, NULL, NULL, NULL FROM quarantine WHERE lead_id = ANY($1::uuid[])
            AND coalesce(resolved_at, 'infinity') = 'infinity' -- by IS NULL Postgres may find all that is open
        """,
        list(set(ids)),
    )
    stored = StoredLeads(
        (row["id"], StoredLead(row["customer_id"], row["product_id"], text_key(row["lead_type"])))
        for row in rows
        if row["customer_id"]
    )
    if len(stored) < len(rows):
        stored.quarantined = frozenset(row["id"] for row in rows if not row["customer_id"])
    if stored:
        rows = await connection.fetch(
            """
            SELECT id, lead_id, billing_period,
                CASE WHEN octet_length(action_type) <> char_length(action_type) OR action_type LIKE '%  %'
                    THEN (action_type, engagement_level, occurred_at) END AS texts
            FROM actions WHERE lead_id = ANY($1::uuid[]) ORDER BY occurrence
            """,
            list(stored),
        )
        for row in rows:
            lead = stored[row["lead_id"]]
            lead.actions.add(row["id"])
            lead.periods.add(row["billing_period"])
        for row in rows:
            if row["texts"]:
                _add_identity_of_today(stored[row["lead_id"]].actions, row["lead_id"], *row["texts"])
    return stored


def _add_identity_of_today(
    known: set[UUID], lead_id: UUID, action_type: str, engagement_level: str, occurred_at: datetime
) -> None:
    """Add the id of an action by today's rules of texts (R1), by which the same lead identifies it when it comes again.

    It is another one than the stored id if an older release took the text as it was.
    """
    type_key = text_key(action_type)
    if type_key == action_type.casefold():
        return
    level_key, occurred_us = text_key(engagement_level), microseconds(occurred_at)
    numbers = (action_uuid(lead_id, type_key, level_key, occurred_us, occurrence) for occurrence in count())
    known.add(next(action_id for action_id in numbers if action_id not in known))


async def add(connection: asyncpg.Connection, arrivals: Iterable[Arrival]) -> None:
    """Store new leads, in ascending id order (see `db.core.locks`).

    Raises SerializationError if another batch stored one of them in the meantime: the next try finds it on record.
    """
    ordered = sorted(arrivals, key=_arrival_id)
    if not ordered:
        return
    try:
        await connection.copy_records_to_table("leads", records=map(_row_from_arrival, ordered), columns=_COLUMNS)
    except asyncpg.UniqueViolationError as error:
        raise asyncpg.SerializationError("another batch stored one of these leads in the meantime") from error


def _row_from_arrival(arrival: Arrival) -> tuple[object, ...]:
    lead = arrival.lead
    return (
        arrival.id,
        lead.source,
        lead.external_id,
        arrival.customer[0],
        arrival.product_id,
        arrival.customer_id,
        lead.lead_type,
        lead.created_at or arrival.received_at,
        arrival.received_at,
    )
