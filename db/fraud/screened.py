"""The actions of one partner and month side by side, in a table of the transaction, which every rule then counts."""

from collections.abc import AsyncIterator, Sequence

import asyncpg

from billing.fraud.night_only import ENDS_AT_HOUR
from billing.policy import Policy

_TABLES = (
    """
    CREATE TEMPORARY TABLE screened (
        action_id uuid, customer_id uuid, source text, at_s float8, hour int, night boolean, midnight boolean,
        early_s int, ahead_s int, key uuid, value_minor bigint, can_be_held boolean
    ) ON COMMIT DROP
    """,
    """
    CREATE TEMPORARY TABLE guilty (
        rule text, action_id uuid, customer_id uuid, source text, hour int, score int, facts text, reason text
    ) ON COMMIT DROP
    """,
)


async def fill(connection: asyncpg.Connection, policy: Policy, period: int) -> int:
    """Fill `screened` with what is billed in a period and not returned, and make an empty `guilty`; how many actions.

    Both last until the transaction ends, so a transaction screens one month.

    A lead that came without an instant of creation has that of its receipt, so nothing of it is early.
    """
    await connection.execute("SET LOCAL work_mem = '64MB'")
    for table in _TABLES:
        await connection.execute(table)
    await connection.execute(
        """
        INSERT INTO screened
        SELECT actions.id, actions.customer_id, leads.source, at_s, floor(at_s / 3600),
            extract(hour FROM occurred_at AT TIME ZONE $3::text) < $4, at_s::numeric % 86400 = 0,
            CASE WHEN created_at < received_at THEN greatest(extract(epoch FROM created_at) - at_s, 0) ELSE 0 END,
            greatest(at_s - extract(epoch FROM received_at), 0), duplicate_key, value_minor,
            $5::boolean AND standing = 'counted'
        FROM actions JOIN leads ON leads.id = lead_id
        CROSS JOIN LATERAL (SELECT extract(epoch FROM occurred_at)::float8 AS at_s) AS instant
        WHERE actions.partner_id = $1 AND billing_period = $2 AND standing <> 'returned'
        """,
        policy.partner_id,
        period,
        policy.calendar.zone_of(period),
        ENDS_AT_HOUR,
        policy.is_open(period),
    )
    await connection.execute("ANALYZE screened")
    count: int = await connection.fetchval("SELECT count(*) FROM screened")
    return count


async def in_pieces(
    connection: asyncpg.Connection, query: str, *arguments: object, most: int = 5_000
) -> AsyncIterator[Sequence[asyncpg.Record]]:
    """The rows of a query, so many at a time."""
    cursor = await connection.cursor(query, *arguments)
    while rows := await cursor.fetch(most):
        yield rows
