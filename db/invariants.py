"""The invariants of R9, checked on a schedule: what is counted is what is stored, and it adds up."""

from typing import Any
from uuid import UUID

import asyncpg

from billing.periods import text_from_period
from billing.totals import Totals
from db import recount


async def recently_changed(connection: asyncpg.Connection) -> list[tuple[UUID, int]]:
    """(partner, period) of all open reports."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT partner_id, period FROM product_periods JOIN partners ON partners.id = partner_id
        WHERE closed_through IS NULL OR period > closed_through ORDER BY 1, 2
        """
    )
    return [(row["partner_id"], row["period"]) for row in rows]


async def violations(connection: asyncpg.Connection, partner_id: UUID, period: int) -> list[dict[str, Any]]:
    """Where a partner's period does not add up: per customer, by how much the counters differ from the verdicts."""
    found = []
    for (customer, at), difference in (await recount.customer_drift(connection, partner_id, period)).items():
        found.append(
            {
                "partner_id": str(partner_id),
                "customer_id": str(customer[1]),
                "period": text_from_period(at),
                "difference": _shown(difference),
            }
        )
    return found


def _shown(difference: Totals) -> dict[str, int]:
    return {name: getattr(difference, name) for name in Totals.__slots__ if getattr(difference, name)}
