"""The inbox: every accepted request as rows, which are the work to do (R2). A message in Redis only announces them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zlib import crc32

import asyncpg
import msgspec

from billing.leads import Lead
from db.core import locks
from db.core.locks import IN_PARTITION
from db.core.row_keys import lead_uuid
from db.intake.partitions import FIRST_LARGE, FROM_THE_BEGINNING, PARTITIONS, PartitionStarts
from db.intake.payloads import leads_from_payload, payload_from_leads

LARGE_BYTES = 20_000
"""A row with a larger payload is a large one: what is small does not wait behind it."""

CHUNK_LEADS = 500
"""Leads in one row at most, so that several workers share one large request."""

CHUNK_ACTIONS = 5_000
"""Actions in one row at most; a lead with more is alone in its row. Work is bounded by actions, not by leads."""

MOST_ACTIONS = 10_000
"""Of one worker batch, so that its transaction and the memory of its process are bounded whatever the leads hold."""

RETRIED_PART = 1000
"""The part number of rows that hold a retried dead letter."""

INBOX_COLUMNS = ["batch_id", "part", "lane", "request_id", "received_at", "lead_count", "lead_ids", "payload"]

_MOST_PARTITIONS = 3
"""Of one batch and size, so that several workers divide what waits, even if it is little."""

_MANY_ROWS = 100
"""A partition with that many waiting rows is counted as enough for a batch."""

BYTES_PER_ACTION = 200
"""About as much as an action and its share of the lead have in a payload. By it rows are claimed, whose size is known
before they are read; then the actions are counted.
"""

_encode_result = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Accepted:
    """One validated request."""

    batch_id: UUID
    request_id: str
    received_at: datetime
    leads: Sequence[Lead]


@dataclass(slots=True)
class Chunk:
    """One claimed row: up to CHUNK_LEADS leads of one request, as JSON.

    Of a row that was too large for one batch, `decided` leads are decided already, with `result` as their part.
    `locked_by` is the transaction that locked it last, 0 if none did.
    """

    id: int
    batch_id: UUID
    partition: int
    request_id: str
    received_at: datetime
    payload: bytes
    locked_by: int
    decided: int
    result: dict[str, Any] | None


async def add(connection: asyncpg.Connection, requests: Sequence[Accepted]) -> None:
    """Write requests to the inbox; once committed, their leads will be decided, whatever happens.

    It is one statement: outside a transaction it stores all of them or none, and has committed when it returns.
    """
    rows = (  # made while they are sent, so that no more than one payload of a large request is held at a time
        (
            request.batch_id,
            part,
            partition if len(payload) <= LARGE_BYTES else partition + FIRST_LARGE,
            request.request_id,
            request.received_at,
            len(leads),
            [lead_uuid(lead.source, lead.external_id) for lead in leads],
            payload,
        )
        for request in requests
        for part, (partition, leads) in _numbered(_parts(request.leads))
        for payload in (payload_from_leads(leads),)
    )
    await connection.copy_records_to_table("inbox", records=rows, columns=INBOX_COLUMNS)


async def add_again(connection: asyncpg.Connection, leads: Iterable[tuple[UUID, datetime, UUID, bytes]]) -> None:
    """Write dead letters back, each as a row of its request: (batch id, received at, lead id, payload)."""
    rows = [
        (batch_id, RETRIED_PART, 0, "retry", received_at, 1, [lead_id], b"[" + payload + b"]")
        for batch_id, received_at, lead_id, payload in leads
    ]
    await connection.copy_records_to_table("inbox", records=rows, columns=INBOX_COLUMNS)


def _numbered(parts: Iterable[tuple[int, Sequence[Lead]]]) -> Iterator[tuple[int, tuple[int, Sequence[Lead]]]]:
    """Parts with their numbers, from 0 on; RETRIED_PART is left out."""
    for number, part in enumerate(parts):
        yield number + (number >= RETRIED_PART), part


def _parts(leads: Sequence[Lead]) -> Iterator[tuple[int, Sequence[Lead]]]:
    """The leads of a request by partition; the same lead twice lies in one part, so that the first one stands (R3)."""
    if len(leads) == 1:
        yield partition_of(leads[0]), leads
        return
    by_partition: list[list[Lead]] = [[] for _ in range(FIRST_LARGE)]
    partitions: dict[tuple[str, str], int] = {}
    for lead in leads:
        by_partition[partitions.setdefault((lead.source, lead.external_id), partition_of(lead))].append(lead)
    for partition, of_partition in enumerate(by_partition):
        chunk: list[Lead] = []
        actions = 0
        for lead in of_partition:
            if chunk and (len(chunk) == CHUNK_LEADS or actions + len(lead.actions) > CHUNK_ACTIONS):
                yield partition, chunk
                chunk, actions = [], 0
            chunk.append(lead)
            actions += len(lead.actions)
        if chunk:
            yield partition, chunk


def partition_of(lead: Lead) -> int:
    """Where a lead of a small row lies: by the e-mail of a person it describes (ids may share it), else by the id."""
    name = lead.person.email if lead.person else lead.customer
    return crc32(name.encode()) % FIRST_LARGE


async def claim(
    connection: asyncpg.Connection,
    most_leads: int,
    most_actions: int = MOST_ACTIONS,
    starts: PartitionStarts | None = None,
) -> list[Chunk]:
    """Lock waiting rows, oldest first, until they hold `most_leads`, in partitions that no other batch has locked.

    They are looked for from the `starts` that the process knows, or from the beginning.

    They also end with about as many bytes as `most_actions` have; the caller counts the actions, and takes them in this
    order: one large row, so that these go on, then what is small, then other large ones. Either size may fill a batch.
    """
    first = await starts.now(connection) if starts else FROM_THE_BEGINNING
    claimed = [
        await locks.lock_inbox_rows(
            connection, partitions, [first[each] for each in partitions], most_leads, most_actions * BYTES_PER_ACTION
        )
        if partitions
        else []
        for partitions in await _lock_partitions(connection, first, most_leads)
    ]
    small, large = ([Chunk(**row) for row in rows] for rows in claimed)
    return [*large[:1], *small, *large[1:]]


async def _lock_partitions(
    connection: asyncpg.Connection, starts: Sequence[int], most_leads: int
) -> tuple[list[int], list[int]]:
    """Lock unlocked partitions of small and of large rows, those with the oldest rows first.

    Of each size up to _MOST_PARTITIONS, or until they hold enough.
    """
    waiting = await connection.fetch(
        f"""
        SELECT lane, rows, leads
        FROM unnest($1::int[], $3::bigint[]) AS one (lane, start), LATERAL (
            SELECT min(id) AS oldest, count(*) AS rows, sum(lead_count)::int AS leads FROM (
                SELECT id, lead_count FROM inbox WHERE {IN_PARTITION} ORDER BY inbox.lane, inbox.id LIMIT $2
            ) AS first
        ) AS waiting
        WHERE rows > 0 ORDER BY oldest
        """,  # noqa: S608 - IN_PARTITION is a constant
        range(PARTITIONS),
        _MANY_ROWS,
        starts,
    )
    taken: tuple[list[int], list[int]] = ([], [])
    leads = [0, 0]
    for row in waiting:
        size = row["lane"] >= FIRST_LARGE
        if leads[size] >= most_leads or len(taken[size]) == _MOST_PARTITIONS:
            continue
        if await locks.try_lock_partition(connection, row["lane"]):
            taken[size].append(row["lane"])
            leads[size] += row["leads"] if row["rows"] < _MANY_ROWS else most_leads
    return taken


async def mark_done(connection: asyncpg.Connection, results: Sequence[tuple[int, dict[str, Any]]]) -> None:
    """Mark rows as decided, each with its result (`db.intake.request_result`)."""
    await connection.execute(
        """
        UPDATE inbox SET done_at = clock_timestamp(), result = done.result
        FROM unnest($1::bigint[], $2::jsonb[]) AS done (id, result) WHERE inbox.id = done.id
        """,
        [chunk_id for chunk_id, _ in results],
        [_encode_result(result).decode() for _, result in results],
    )


async def mark_partly_decided(
    connection: asyncpg.Connection, chunk_id: int, leads: int, result: dict[str, Any]
) -> None:
    """Note that the first leads of a row are decided, with their result; the row goes on to wait with the others."""
    await connection.execute(
        """
        INSERT INTO partly_decided (inbox_id, leads, result) VALUES ($1, $2, $3)
        ON CONFLICT (inbox_id) DO UPDATE SET leads = excluded.leads, result = excluded.result
        """,
        chunk_id,
        leads,
        _encode_result(result).decode(),
    )


async def forget_partly_decided(connection: asyncpg.Connection, chunk_ids: Sequence[int]) -> None:
    """Delete what was noted of rows that are decided as a whole now."""
    await connection.execute("DELETE FROM partly_decided WHERE inbox_id = ANY($1::bigint[])", chunk_ids)


async def rewrite(connection: asyncpg.Connection, payloads: Sequence[tuple[int, bytes]]) -> None:
    """Give rows another payload, of leads that mean the same."""
    if payloads:
        await connection.executemany("UPDATE inbox SET payload = $2 WHERE id = $1", payloads)


async def newest_waiting(connection: asyncpg.Connection) -> int:
    """The highest row id that waits now; 0 if nothing waits."""
    newest: int = await connection.fetchval(
        f"""
        SELECT coalesce(max(id), 0) FROM unnest($1::int[], $2::bigint[]) AS one (lane, start), LATERAL (
            SELECT id FROM inbox WHERE {IN_PARTITION} ORDER BY inbox.lane DESC, inbox.id DESC LIMIT 1
        ) AS newest
        """,  # noqa: S608 - IN_PARTITION is a constant
        range(PARTITIONS),
        FROM_THE_BEGINNING,
    )
    return newest


async def waiting_up_to(connection: asyncpg.Connection, newest_id: int) -> int:
    """How many leads up to a row id are still waiting."""
    count: int = await connection.fetchval(
        """
        SELECT coalesce(sum(leads), 0)::bigint FROM generate_series(0, $2::int - 1) AS one (lane), LATERAL (
            SELECT sum(lead_count) AS leads FROM inbox
            WHERE done_at IS NULL
                AND (inbox.lane, inbox.id) >= (one.lane, 0) AND (inbox.lane, inbox.id) <= (one.lane, $1)
        ) AS of_partition
        """,
        newest_id,
        PARTITIONS,
    )
    return count


async def waiting_leads(connection: asyncpg.Connection, lead_ids: Sequence[UUID]) -> dict[UUID, Lead]:
    """Those of these leads that wait, each as it came first. Looks through all that waits, see `waiting_leads`."""
    payloads = await connection.fetch(
        "SELECT payload FROM inbox WHERE done_at IS NULL AND lead_ids && $1::uuid[] ORDER BY id", lead_ids
    )
    found: dict[UUID, Lead] = {}
    for row in payloads:
        for lead in leads_from_payload(row["payload"]):
            row_id = lead_uuid(*lead.identity)
            if row_id in lead_ids:
                found.setdefault(row_id, lead)
    return found
