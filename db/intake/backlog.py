"""The backlog: how many leads wait to be decided, and for how long."""

import asyncpg

from db.core.locks import IN_PARTITION
from db.intake.inbox import PARTITIONS, RETRIED_PART


async def leads(connection: asyncpg.Connection, most_rows: int) -> int:
    """How many leads wait, counted in the first `most_rows` rows at most; each row holds at least one lead."""
    number: int = await connection.fetchval(
        """
        SELECT coalesce(sum(lead_count), 0)
        FROM (SELECT lead_count FROM inbox WHERE done_at IS NULL ORDER BY lane, id LIMIT $1) AS waiting
        """,
        most_rows,
    )
    return number


async def waited_s(connection: asyncpg.Connection) -> float:
    """How many seconds the oldest waiting lead has waited; pauses of the workers do not count.

    Retried dead letters are left out, because they keep the instant at which they were first received.
    """
    seconds: float | None = await connection.fetchval(
        f"""
        SELECT extract(epoch FROM
            clock_timestamp() - greatest(min(received_at), (SELECT max(resumed_at) FROM pauses)))::float8
        FROM generate_series(0, $2::int - 1) AS one (lane), LATERAL (
            SELECT received_at FROM inbox WHERE {IN_PARTITION} AND part <> $1 ORDER BY inbox.lane, inbox.id LIMIT 1
        ) AS oldest
        WHERE NOT EXISTS (SELECT FROM pauses WHERE resumed_at IS NULL)
        HAVING count(*) > 0
        """,  # noqa: S608 - IN_PARTITION is a constant
        RETRIED_PART,
        PARTITIONS,
    )
    return max(seconds or 0.0, 0.0)
