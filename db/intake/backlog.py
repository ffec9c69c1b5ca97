"""The backlog: how many leads wait to be decided, and for how long.

What waits is looked for from the `starts` that the process knows, or from the beginning.
"""

import asyncpg

from db.core.locks import IN_PARTITION
from db.intake.inbox import RETRIED_PART
from db.intake.partitions import FROM_THE_BEGINNING, PARTITIONS, PartitionStarts


async def leads(connection: asyncpg.Connection, most_rows: int, starts: PartitionStarts | None = None) -> int:
    """How many leads wait, counted in the first `most_rows` rows at most; each row holds at least one lead."""
    number: int = await connection.fetchval(
        f"""
        SELECT coalesce(sum(lead_count), 0) FROM (
            SELECT lead_count FROM unnest($2::int[], $3::bigint[]) AS one (lane, start), LATERAL (
                SELECT lead_count FROM inbox WHERE {IN_PARTITION} ORDER BY inbox.lane, inbox.id LIMIT $1
            ) AS of_partition
            LIMIT $1
        ) AS waiting
        """,  # noqa: S608 - IN_PARTITION is a constant
        most_rows,
        range(PARTITIONS),
        await starts.now(connection) if starts else FROM_THE_BEGINNING,
    )
    return number


async def waited_s(connection: asyncpg.Connection, starts: PartitionStarts | None = None) -> float:
    """How many seconds the oldest waiting lead has waited; pauses of the workers do not count.

    Retried dead letters are left out, because they keep the instant at which they were first received.
    """
    seconds: float | None = await connection.fetchval(
        f"""
        SELECT extract(epoch FROM
            clock_timestamp() - greatest(min(received_at), (SELECT max(resumed_at) FROM pauses)))::float8
        FROM unnest($2::int[], $3::bigint[]) AS one (lane, start), LATERAL (
            SELECT received_at FROM inbox WHERE {IN_PARTITION} AND part <> $1 ORDER BY inbox.lane, inbox.id LIMIT 1
        ) AS oldest
        WHERE NOT EXISTS (SELECT FROM pauses WHERE resumed_at IS NULL)
        HAVING count(*) > 0
        """,  # noqa: S608 - IN_PARTITION is a constant
        RETRIED_PART,
        range(PARTITIONS),
        await starts.now(connection) if starts else FROM_THE_BEGINNING,
    )
    return max(seconds or 0.0, 0.0)
