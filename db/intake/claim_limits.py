"""Fewer leads at a time after a batch was lost, down to the single lead that its worker never survives.

A batch whose process is killed, or whose statement takes too long, leaves nothing in its rows but the number of its
transaction, which Postgres keeps in a row that was locked (xmax). So the next batch of the partition sees that one was
lost, takes half as many leads, and notes before it begins that it does. If it is lost as well, half as many are taken
again; if it is not, the next loss begins with twice as many. A single lead whose batches are lost again and again is
poison. Nothing of this costs a batch anything as long as none is lost.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction
from db.core.errors import TIMED_OUT, TRANSIENT

log = structlog.get_logger()

MOST_LOST = 3
"""After so many lost batches of a single lead it is a dead letter."""


@dataclass(frozen=True, slots=True)
class ClaimLimit:
    """How many leads the next batch of a partition takes, and how many batches were lost that took a single one."""

    partition: int
    most_leads: int
    lost: int

    @property
    def is_poison(self) -> bool:
        """Whether the single lead is to blame."""
        return self.lost >= MOST_LOST


async def was_lost(connection: asyncpg.Connection, locked_by: Iterable[int]) -> bool:
    """Whether one of the transactions that had locked rows was rolled back, or ended with its process.

    A number of 32 bits means the newest transaction that has it.
    """
    numbers = [number for number in locked_by if number]
    if not numbers:
        return False
    lost: bool = await connection.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM unnest($1::bigint[]) AS number,
                LATERAL (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS upcoming) AS present,
                LATERAL (SELECT ((upcoming >> 32) << 32) + number AS whole) AS of_this_epoch
            WHERE pg_xact_status((CASE WHEN whole > upcoming THEN whole - (1::bigint << 32) ELSE whole END)::text::xid8)
                = 'aborted'
        )
        """,
        numbers,
    )
    return lost


@asynccontextmanager
async def noted(
    engine: AsyncEngine, connection: asyncpg.Connection, partition: int, leads: int
) -> AsyncIterator[ClaimLimit]:
    """Decide with fewer leads than `leads`, which a lost batch took; call it with the partition locked.

    That it begins is committed at once; that it ended well, with the batch. An error that says what went wrong, other
    than a timeout, is no loss: that batch is tried again, or somebody is needed.
    """
    async with transaction(engine) as own:
        limit = await _begin(own, partition, leads)
    log.warning("batch_was_lost", partition=partition, next_leads=limit.most_leads, lost_with_one_lead=limit.lost)
    try:
        yield limit
        await _succeed(connection, partition, leads)
    except TIMED_OUT:
        raise
    except BaseException:
        with suppress(*TRANSIENT):  # Postgres may be what is away
            await note_end(engine, partition)
        raise


async def note_end(engine: AsyncEngine, partition: int) -> None:
    """In a transaction of its own: the batch that had begun has ended, so it is not lost."""
    async with transaction(engine) as own:
        await own.execute("UPDATE claim_limits SET begun_at = NULL WHERE lane = $1", partition)


async def _begin(connection: asyncpg.Connection, partition: int, leads: int) -> ClaimLimit:
    row = await connection.fetchrow(
        """
        INSERT INTO claim_limits AS known (lane, most_leads, begun_at)
        VALUES ($1, greatest($2::int / 2, 1), clock_timestamp())
        ON CONFLICT (lane) DO UPDATE SET
            most_leads = greatest(known.most_leads / CASE WHEN known.begun_at IS NULL THEN 1 ELSE 2 END, 1),
            lost = known.lost + CASE WHEN known.begun_at IS NULL OR known.most_leads > 1 THEN 0 ELSE 1 END,
            begun_at = excluded.begun_at
        RETURNING most_leads, lost
        """,
        partition,
        leads,
    )
    assert row is not None
    return ClaimLimit(partition, row["most_leads"], row["lost"])


async def _succeed(connection: asyncpg.Connection, partition: int, leads: int) -> None:
    await connection.execute("DELETE FROM claim_limits WHERE lane = $1 AND most_leads * 2 >= $2", partition, leads)
    await connection.execute(
        "UPDATE claim_limits SET most_leads = most_leads * 2, lost = 0, begun_at = NULL WHERE lane = $1", partition
    )
