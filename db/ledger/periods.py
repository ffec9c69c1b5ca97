"""The periods of partners: their stored bounds, and those that have actions."""

from collections.abc import Iterable, Mapping
from uuid import UUID

import asyncpg

from billing.policy import Policy


async def periods_used(connection: asyncpg.Connection, partner_id: UUID) -> list[int]:
    """The billing periods in which a partner has actions, oldest first."""
    rows = await connection.fetch(
        "SELECT DISTINCT period FROM product_periods WHERE partner_id = $1 AND actions > 0 ORDER BY period", partner_id
    )
    return [row["period"] for row in rows]


async def store_periods(
    connection: asyncpg.Connection, policies: Mapping[UUID, Policy], used: Mapping[UUID, Iterable[int]]
) -> None:
    """Store the bounds of partners' periods when these are first used; from then on no time zone change moves them."""
    missing = sorted(
        (partner_id, period)
        for partner_id, periods in used.items()
        for period in set(periods) - policies[partner_id].calendar.stored.keys()
    )
    if not missing:
        return
    await connection.execute(
        """
        INSERT INTO periods (partner_id, period, starts_at, ends_at)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::timestamptz[])
        ON CONFLICT DO NOTHING
        """,
        [partner_id for partner_id, _ in missing],
        [period for _, period in missing],
        [policies[partner_id].calendar.start_of(period) for partner_id, period in missing],
        [policies[partner_id].calendar.end_of(period) for partner_id, period in missing],
    )
    for partner_id, period in missing:
        calendar = policies[partner_id].calendar
        calendar.stored = {**calendar.stored, period: calendar.start_of(period)}
