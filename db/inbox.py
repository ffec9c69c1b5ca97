"""The inbox: every accepted request as rows that are the job (R2). The message in Redis only rings for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from billing.leads import Lead

CHUNK_LEADS = 500
"""Leads in one row at most, so that several workers share one large request."""

RETRIED_PART = 1000
"""The part number of leads that went from the dead letters back into their batch."""

INBOX_COLUMNS = ["batch_id", "part", "request_id", "received_at", "lead_count", "lead_ids", "payload"]

_FIRST_FETCH = 1
_encode = msgspec.json.Encoder().encode
_decode_leads = msgspec.json.Decoder(list[Lead]).decode
_decode_lead = msgspec.json.Decoder(Lead).decode


@dataclass(slots=True)
class Accepted:
    """One request that the door has validated."""

    batch_id: UUID
    request_id: str
    received_at: datetime
    leads: Sequence[Lead]


@dataclass(slots=True)
class Chunk:
    """One claimed row: up to CHUNK_LEADS leads of one request, still encoded."""

    id: int
    batch_id: UUID
    request_id: str
    received_at: datetime
    payload: bytes


def payload_from_lead(lead: Lead) -> bytes:
    """One lead as it is kept in the quarantine and among the dead letters: JSON."""
    return _encode(lead)


def lead_from_payload(payload: bytes) -> Lead:
    """Read what `payload_from_lead` wrote; raises msgspec.DecodeError if it is damaged."""
    return _decode_lead(payload)


def leads_from_payload(payload: bytes) -> list[Lead]:
    """Read the leads of a chunk; raises msgspec.DecodeError if it is damaged."""
    return _decode_leads(payload)


async def add(connection: asyncpg.Connection, requests: Sequence[Accepted]) -> None:
    """Write requests to the inbox; once committed, their leads will be decided whatever happens."""
    rows = [
        (
            request.batch_id,
            part,
            request.request_id,
            request.received_at,
            len(leads),
            [lead.id for lead in leads],
            _encode(leads),
        )
        for request in requests
        for part, start in enumerate(range(0, len(request.leads), CHUNK_LEADS))
        for leads in [request.leads[start : start + CHUNK_LEADS]]
    ]
    await connection.copy_records_to_table("inbox", records=rows, columns=INBOX_COLUMNS)


async def claim(connection: asyncpg.Connection, most_leads: int) -> list[Chunk]:
    """Lock waiting rows, oldest first, until they hold `most_leads`; rows another worker holds are passed over.

    The rows come through a cursor, because a row is locked when it is fetched, and nobody knows beforehand how many
    rows of one to 500 leads make a batch.
    """
    cursor = await connection.cursor(
        """
        SELECT id, batch_id, request_id, received_at, lead_count, payload FROM inbox
        WHERE done_at IS NULL ORDER BY id FOR UPDATE SKIP LOCKED
        """
    )
    rows: list[asyncpg.Record] = []
    leads, wanted = 0, _FIRST_FETCH
    while leads < most_leads:
        fetched = await cursor.fetch(wanted)
        rows += fetched
        leads += sum(row["lead_count"] for row in fetched)
        if len(fetched) < wanted:
            break
        wanted = max((most_leads - leads) * len(rows) // leads, 1)
    return [Chunk(row["id"], row["batch_id"], row["request_id"], row["received_at"], row["payload"]) for row in rows]


async def settle(connection: asyncpg.Connection, results: Sequence[tuple[int, dict[str, Any]]]) -> None:
    """Mark rows as decided, each with its part of the batch's status."""
    await connection.execute(
        """
        UPDATE inbox SET done_at = clock_timestamp(), result = settled.result
        FROM unnest($1::bigint[], $2::jsonb[]) AS settled (id, result) WHERE inbox.id = settled.id
        """,
        [chunk_id for chunk_id, _ in results],
        [_encode(result).decode() for _, result in results],
    )


async def newest_waiting(connection: asyncpg.Connection) -> int:
    """The highest row id that waits now; 0 if nothing waits."""
    newest: int = await connection.fetchval("SELECT coalesce(max(id), 0) FROM inbox WHERE done_at IS NULL")
    return newest


async def waiting_up_to(connection: asyncpg.Connection, newest_id: int) -> int:
    """How many leads up to a row id are still waiting."""
    count: int = await connection.fetchval(
        "SELECT coalesce(sum(lead_count), 0) FROM inbox WHERE done_at IS NULL AND id <= $1", newest_id
    )
    return count


async def waiting_lead(connection: asyncpg.Connection, lead_id: UUID) -> tuple[Lead, datetime] | None:
    """The first waiting lead with this id and when it came in."""
    row = await connection.fetchrow(
        """
        SELECT received_at, payload FROM inbox WHERE done_at IS NULL AND lead_ids @> ARRAY[$1::uuid]
        ORDER BY id LIMIT 1
        """,
        lead_id,
    )
    if row is None:
        return None
    return next((lead, row["received_at"]) for lead in leads_from_payload(row["payload"]) if lead.id == lead_id)
