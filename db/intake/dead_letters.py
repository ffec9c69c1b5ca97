"""Dead letters: leads that could not be decided because of a fault, with the fault, until somebody tries again."""

from collections.abc import Iterable, Sequence
from uuid import UUID

import asyncpg

from db.intake.inbox import Chunk


async def add(connection: asyncpg.Connection, letters: Sequence[tuple[Chunk, UUID | None, bytes, str]]) -> None:
    """Keep what could not be decided: (its chunk, lead id if it could be read, payload, error)."""
    if not letters:
        return
    await connection.copy_records_to_table(
        "dead_letters",
        records=[
            (chunk.id, chunk.batch_id, chunk.received_at, lead_id, payload, error[:2000])
            for chunk, lead_id, payload, error in letters
        ],
        columns=["inbox_id", "batch_id", "received_at", "lead_id", "payload", "error"],
    )


async def page(connection: asyncpg.Connection, *, after: int, limit: int) -> list[asyncpg.Record]:
    """Unresolved dead letters, oldest first."""
    return await connection.fetch(
        """
        SELECT id, lead_id, batch_id, received_at, created_at, error FROM dead_letters
        WHERE resolved_at IS NULL AND id > $1 ORDER BY id LIMIT $2
        """,
        after,
        limit,
    )


async def of_lead(connection: asyncpg.Connection, lead_id: UUID) -> asyncpg.Record | None:
    """The unresolved dead letter of a lead, if there is one."""
    return await connection.fetchrow(
        "SELECT payload FROM dead_letters WHERE lead_id = $1 AND resolved_at IS NULL ORDER BY id LIMIT 1", lead_id
    )


async def resolve(connection: asyncpg.Connection, ids: Iterable[int]) -> None:
    """Mark dead letters as gone back to the inbox."""
    await connection.execute(
        "UPDATE dead_letters SET resolved_at = clock_timestamp() WHERE id = ANY($1::bigint[])", list(ids)
    )
