"""Held actions are never frozen: when a period closes, they move to the next one (R10)."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.periods import next_period
from billing.policy import Policy
from billing.totals import Totals, verdict_checksum
from db.ledger import period_counters, reading
from db.ledger.period_counters import CustomerPeriod, ProductPeriod, add_customer_totals, add_product_totals


async def partners_with_held(connection: asyncpg.Connection, partner_ids: Iterable[UUID], period: int) -> list[UUID]:
    """The partners that have held actions in a period."""
    rows = await connection.fetch(
        """
        SELECT partner_id FROM product_periods WHERE partner_id = ANY($1::uuid[]) AND period = $2
        GROUP BY partner_id HAVING sum(held) > 0
        """,
        list(partner_ids),
        period,
    )
    return [row["partner_id"] for row in rows]


async def move_to_next_period(connection: asyncpg.Connection, policy: Policy, period: int) -> None:
    """Bill the held actions of a period in the next one, and count them there."""
    later = next_period(period)
    held = await connection.fetch(
        "SELECT * FROM actions WHERE partner_id = $1 AND billing_period = $2 AND outcome = 'held'",
        policy.partner_id,
        period,
    )
    if not held:
        return
    customer_ids = sorted({row["customer_id"] for row in held})
    by_customer: dict[CustomerPeriod, Totals] = {}
    by_product: dict[ProductPeriod, Totals] = {}
    checksums: dict[ProductPeriod, int] = {}
    last: dict[CustomerPeriod, datetime] = {}
    for row in held:
        before = reading.verdict_from_row(row)
        after = reading.verdict_from_row({**row, "billing_period": later})
        for verdict, sign in ((before, -1), (after, 1)):
            action, billing_period = verdict.action, verdict.action.billing_period
            customer = ((policy.partner_id, row["customer_id"]), billing_period)
            product = (policy.partner_id, billing_period, action.product_id)
            by_customer.setdefault(customer, Totals()).add(verdict.outcome, action.value_minor, 0, sign)
            by_product.setdefault(product, Totals()).add(verdict.outcome, action.value_minor, 0, sign)
            checksums[product] = checksums.get(product, 0) + sign * verdict_checksum(verdict)
            last[customer] = max(last.get(customer, action.occurred_at), action.occurred_at)
    for row in await _leads_of(connection, {row["lead_id"] for row in held}, period, later):
        customer_id, product_id = (policy.partner_id, row["customer_id"]), row["product_id"]
        if not row["stays"]:
            by_customer[customer_id, period].leads -= 1
            by_product[policy.partner_id, period, product_id].leads -= 1
        if not row["was_later"]:
            by_customer[customer_id, later].leads += 1
            by_product[policy.partner_id, later, product_id].leads += 1
    counters = await period_counters.read(
        connection, [((policy.partner_id, customer_id), period) for customer_id in customer_ids]
    )
    await connection.execute(
        "UPDATE actions SET billing_period = $3 WHERE partner_id = $1 AND billing_period = $2 AND outcome = 'held'",
        policy.partner_id,
        period,
        later,
    )
    versions = dict.fromkeys(by_customer, policy.version)
    known = {(customer, counted) for customer, periods in counters.items() for counted in periods}
    await add_customer_totals(connection, by_customer, last, versions, known)
    await add_product_totals(connection, by_product, checksums)


async def _leads_of(
    connection: asyncpg.Connection, lead_ids: set[UUID], period: int, later: int
) -> list[asyncpg.Record]:
    """Leads with held actions: whether other actions of theirs stay in the period, or were in the later one before."""
    return await connection.fetch(
        """
        SELECT lead_id, customer_id, product_id,
               bool_or(billing_period = $3) AS was_later,
               bool_or(billing_period = $2 AND outcome <> 'held') AS stays
        FROM actions WHERE lead_id = ANY($1::uuid[]) GROUP BY lead_id, customer_id, product_id
        """,
        list(lead_ids),
        period,
        later,
    )
