"""The invariants of R9, checked on a schedule: the counters are what the stored verdicts add up to.

A violation names the report and the difference: what must be added to the counters to correct them.
"""

from typing import Any
from uuid import UUID

import asyncpg

from billing.periods import text_from_period
from billing.totals import TOTALS_COLUMNS, Totals
from db.core.totals_rows import totals_from_row
from db.ledger import recount

Violation = dict[str, Any]


async def open_reports(connection: asyncpg.Connection) -> list[tuple[UUID, int]]:
    """(partner, period) of all open reports."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT partner_id, period
        FROM (SELECT partner_id, period FROM product_periods UNION SELECT partner_id, period FROM customer_periods)
            AS counted JOIN partners ON partners.id = partner_id
        WHERE closed_through IS NULL OR period > closed_through ORDER BY 1, 2
        """
    )
    return [(row["partner_id"], row["period"]) for row in rows]


async def violations(connection: asyncpg.Connection, partner_id: UUID, period: int) -> list[Violation]:
    """Where the counters of an open report, by customer and by product, differ from its verdicts."""
    customers, products = await recount.totals_drift(connection, partner_id, period)
    if not customers and not products:
        return []
    report = await _report_fields(connection, partner_id, period)
    return [
        *(
            report | {"customer_id": str(customer[1])} | _difference(totals)
            for (customer, _), totals in customers.items()
        ),
        *(
            report | {"product_id": str(product_id)} | _difference(totals)
            for (*_, product_id), totals in products.items()
        ),
    ]


async def frozen_violations(connection: asyncpg.Connection) -> list[Violation]:
    """Where the counters of a closed report, whose verdicts cannot change, differ from its final version."""
    found = []
    for table in ("customer_periods", "product_periods"):
        for row in await connection.fetch(_FROZEN.format(counters=table)):
            report = await _report_fields(connection, row["partner_id"], row["period"])
            found.append(report | {"counters": table} | _difference(totals_from_row(row)))
    return found


_FROZEN = f"""
    SELECT counted.partner_id, counted.period, {", ".join(f"written.{c} - counted.{c} AS {c}" for c in TOTALS_COLUMNS)}
    FROM (
        SELECT partner_id, period, {", ".join(f"sum({c})::bigint AS {c}" for c in TOTALS_COLUMNS)}
        FROM {{counters}} GROUP BY partner_id, period
    ) AS counted
    JOIN partners ON partners.id = counted.partner_id AND counted.period <= closed_through
    JOIN LATERAL (
        SELECT * FROM billing_reports
        WHERE billing_reports.partner_id = counted.partner_id AND billing_reports.period = counted.period
        ORDER BY version DESC LIMIT 1
    ) AS written ON written.final
    WHERE ({", ".join(f"written.{c}" for c in TOTALS_COLUMNS)}) <> ({", ".join(f"counted.{c}" for c in TOTALS_COLUMNS)})
    ORDER BY 1, 2
"""  # noqa: S608 - names of our own columns


async def _report_fields(connection: asyncpg.Connection, partner_id: UUID, period: int) -> Violation:
    external_id = await connection.fetchval("SELECT external_id FROM partners WHERE id = $1", partner_id)
    return {"partner": external_id, "partner_id": str(partner_id), "period": text_from_period(period)}


def _difference(totals: Totals) -> Violation:
    return {"difference": {name: getattr(totals, name) for name in TOTALS_COLUMNS if getattr(totals, name)}}
