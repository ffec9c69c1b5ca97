"""What was billed and saved on each day of a month, over all partners."""

from dataclasses import dataclass
from datetime import date

import asyncpg


@dataclass(frozen=True, slots=True)
class DayTotals:
    """The actions of one day in one currency, where the partner is; `saved` is what duplicates and the cap cost not."""

    day: date
    currency: str
    actions: int
    billed_minor: int
    saved_minor: int


async def newest_period(connection: asyncpg.Connection, most: int) -> int | None:
    """The last period up to `most` that has actions; None if there is none."""
    found: int | None = await connection.fetchval(
        "SELECT max(period) FROM product_periods WHERE period <= $1 AND actions > 0", most
    )
    return found


async def read(connection: asyncpg.Connection, period: int) -> list[DayTotals]:
    """The days on which something happened; this reads every action of the month, so it is asked rarely."""
    rows = await connection.fetch(
        """
        WITH zones AS (
            SELECT DISTINCT ON (partner_id) partner_id, timezone FROM partner_time_zones
            WHERE from_period <= $1 ORDER BY partner_id, from_period DESC
        )
        SELECT (occurred_at AT TIME ZONE timezone)::date AS day, currency, count(*) AS actions,
            sum(billed_minor)::bigint AS billed_minor,
            coalesce(sum(value_minor - billed_minor) FILTER (
                WHERE outcome IN ('duplicate', 'capped', 'partly_billed')
            ), 0)::bigint AS saved_minor
        FROM actions JOIN zones USING (partner_id) JOIN partners ON partners.id = partner_id
        WHERE own_period = $1
        GROUP BY day, currency ORDER BY currency, day
        """,
        period,
    )
    return [DayTotals(**row) for row in rows]
