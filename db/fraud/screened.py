"""The actions of some partners in one month, in a table of the transaction, which every rule then counts."""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import asyncpg

from billing.fraud.night_only import ENDS_AT_HOUR
from billing.policy import Policy

_TABLES = (
    """
    CREATE TEMPORARY TABLE screened (
        action_id uuid, partner_id uuid, customer_id uuid, source text, at_s float8, hour int, night boolean,
        midnight boolean, early_s int, ahead_s int, key uuid, value_minor bigint, can_be_held boolean
    ) ON COMMIT DROP
    """,
    """
    CREATE TEMPORARY TABLE guilty (
        rule text, action_id uuid, partner_id uuid, customer_id uuid, source text, hour int,
        score int, facts text, reason text
    ) ON COMMIT DROP
    """,
)

_JOIN_WHOLE_TABLES = "SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on"
"""These tables have no index, so by loops over keys each action would be looked for among all guilty ones."""


async def fill(connection: asyncpg.Connection, policies: Sequence[Policy], period: int) -> dict[UUID, int]:
    """Fill `screened` with what is billed in a period and not returned, and make an empty `guilty`.

    Returns how many actions each partner has. Both tables last until `drop`, or until the transaction ends. A lead that
    came without an instant of creation has that of its receipt, so nothing of it is early.
    """
    await connection.execute("SET LOCAL work_mem = '64MB'")
    for table in _TABLES:
        await connection.execute(table)
    await connection.execute(
        """
        INSERT INTO screened
        SELECT actions.id, actions.partner_id, actions.customer_id, leads.source, at_s, floor(at_s / 3600),
            extract(hour FROM occurred_at AT TIME ZONE zone) < $5, at_s::numeric % 86400 = 0,
            CASE WHEN created_at < received_at THEN greatest(extract(epoch FROM created_at) - at_s, 0) ELSE 0 END,
            greatest(at_s - extract(epoch FROM received_at), 0), duplicate_key, value_minor,
            is_open AND standing = 'counted'
        FROM actions JOIN leads ON leads.id = lead_id
        JOIN unnest($1::uuid[], $3::text[], $4::bool[]) AS one (id, zone, is_open) ON one.id = actions.partner_id
        CROSS JOIN LATERAL (SELECT extract(epoch FROM occurred_at)::float8 AS at_s) AS instant
        WHERE actions.partner_id = ANY($1::uuid[]) AND billing_period = $2 AND standing <> 'returned'
        """,
        [policy.partner_id for policy in policies],
        period,
        [policy.calendar.zone_of(period) for policy in policies],
        [policy.is_open(period) for policy in policies],
        ENDS_AT_HOUR,
    )
    await connection.execute("ANALYZE screened")
    await connection.execute(_JOIN_WHOLE_TABLES)
    rows = await connection.fetch("SELECT partner_id, count(*) AS actions FROM screened GROUP BY partner_id")
    return {row["partner_id"]: row["actions"] for row in rows}


async def in_pieces(
    connection: asyncpg.Connection, query: str, *arguments: object, most: int = 5_000
) -> AsyncIterator[Sequence[asyncpg.Record]]:
    """The rows of a query, so many at a time; after the last one it uses its tables no more."""
    piece = []
    async for row in connection.cursor(query, *arguments, prefetch=most):
        piece.append(row)
        if len(piece) == most:
            yield piece
            piece = []
    if piece:
        yield piece


async def drop(connection: asyncpg.Connection) -> None:
    """Remove the tables, so that the transaction can screen another month."""
    await connection.execute("DROP TABLE screened, guilty")
