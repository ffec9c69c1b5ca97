"""The months of one customer: with which partners, and what each cost."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg

from billing.totals import Totals
from db.core.totals_rows import totals_from_row

LEADS_LOOKED_AT = 2000
"""So many of the newest leads of a customer tell which partners they met."""


@dataclass(frozen=True, slots=True)
class CustomerMonth:
    """What a customer cost a partner in a period."""

    partner_id: UUID
    partner: str
    partner_name: str
    currency: str
    timezone: str
    period: int
    totals: Totals
    credited_minor: int


async def newest(
    connection: asyncpg.Connection, customer_id: UUID, *, partner_id: UUID | None, limit: int
) -> list[CustomerMonth]:
    """The newest months of a customer, with one partner or with all of the newest leads."""
    rows = await connection.fetch(
        """
        WITH met AS (
            SELECT DISTINCT partner_id FROM (
                SELECT partner_id FROM leads WHERE customer_id = $1 AND $2::uuid IS NULL
                ORDER BY created_at DESC, id DESC LIMIT $4
            ) AS newest
            UNION ALL SELECT $2 WHERE $2 IS NOT NULL
        )
        SELECT customer_periods.*, partners.external_id AS partner, partners.name AS partner_name, currency, (
            SELECT timezone FROM partner_time_zones AS zones WHERE zones.partner_id = partners.id
            ORDER BY from_period DESC LIMIT 1
        ) AS timezone
        FROM met JOIN customer_periods USING (partner_id) JOIN partners ON partners.id = partner_id
        WHERE customer_id = $1 AND (actions > 0 OR credited_minor <> 0)
        ORDER BY period DESC, partners.external_id LIMIT $3
        """,
        customer_id,
        partner_id,
        limit,
        LEADS_LOOKED_AT,
    )
    return [
        CustomerMonth(
            row["partner_id"],
            row["partner"],
            row["partner_name"],
            row["currency"],
            row["timezone"],
            row["period"],
            totals_from_row(row),
            row["credited_minor"],
        )
        for row in rows
    ]
