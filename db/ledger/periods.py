"""The billing periods of a partner."""

from uuid import UUID

import asyncpg


async def periods_used(connection: asyncpg.Connection, partner_id: UUID) -> list[int]:
    """The billing periods in which a partner has actions, oldest first."""
    rows = await connection.fetch(
        "SELECT DISTINCT period FROM product_periods WHERE partner_id = $1 AND actions > 0 ORDER BY period", partner_id
    )
    return [row["period"] for row in rows]
