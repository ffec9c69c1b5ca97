"""Actions after the end of the contract (B2): they are billed, and named before their month closes."""

from collections.abc import Iterable
from uuid import UUID

import asyncpg

MOST_COUNTED = 10_000
"""Of each partner no more are counted."""


async def count(connection: asyncpg.Connection, partner_ids: Iterable[UUID], period: int) -> dict[UUID, int]:
    """How many actions that are billed in a period happened after the `end_date` of its terms, of each partner.

    A contract ends with that day where the partner is.
    """
    counted = dict.fromkeys(partner_ids, 0)
    rows = await connection.fetch(
        """
        SELECT ended.id, (SELECT count(*) FROM (
            SELECT FROM actions WHERE partner_id = ended.id AND billing_period = $2 AND occurred_at >= ends_at LIMIT $3
        ) AS first) AS actions
        FROM (
            SELECT asked.id, (end_date + 1)::timestamp AT TIME ZONE timezone AS ends_at
            FROM unnest($1::uuid[]) AS asked (id), LATERAL (
                SELECT end_date FROM billing_terms WHERE partner_id = asked.id AND from_period <= $2
                ORDER BY from_period DESC LIMIT 1
            ) AS terms, LATERAL (
                SELECT timezone FROM partner_time_zones WHERE partner_id = asked.id AND from_period <= $2
                ORDER BY from_period DESC LIMIT 1
            ) AS zones
            WHERE to_char(end_date + 1, 'YYYYMM')::int <= $2
        ) AS ended
        """,
        list(counted),
        period,
        MOST_COUNTED,
    )
    return counted | {row["id"]: row["actions"] for row in rows}
