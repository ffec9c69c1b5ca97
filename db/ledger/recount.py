"""Counting the stored verdicts again, and the difference to the counters (R9)."""

from collections import defaultdict
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from billing.totals import TOTALS_COLUMNS, Totals, checksum_of_line
from db.core import locks
from db.core.totals_rows import COUNTED_TOTALS, totals_from_row
from db.ledger.case import Customer
from db.ledger.period_counters import ProductPeriod, add_customer_totals, add_product_totals

_COPY_S = 3_600.0


@dataclass(slots=True)
class Drift:
    """What must be added to the counters of one partner and period to correct them."""

    customers: dict[tuple[Customer, int], Totals]
    products: dict[ProductPeriod, Totals]
    checksums: dict[ProductPeriod, int]

    @property
    def count(self) -> int:
        """How many counters are wrong."""
        return len(self.customers) + len(self.products.keys() | self.checksums.keys())


async def totals_drift(
    connection: asyncpg.Connection, partner_id: UUID, period: int
) -> tuple[dict[tuple[Customer, int], Totals], dict[ProductPeriod, Totals]]:
    """What must be added to the counters of customers and to those of products.

    It is read in one snapshot, so it stays right while batches go on counting.
    """
    customers: dict[tuple[Customer, int], Totals] = {}
    products: dict[ProductPeriod, Totals] = {}
    for row in await connection.fetch(_DRIFT, partner_id, period):
        if row["of"] == "customer":
            customers[(partner_id, row["id"]), period] = totals_from_row(row)
        else:
            products[partner_id, period, row["id"]] = totals_from_row(row)
    return customers, products


async def drift(connection: asyncpg.Connection, partner_id: UUID, period: int) -> Drift:
    """What must be added to all counters of a partner and period, the checksums included."""
    customers, products = await totals_drift(connection, partner_id, period)
    return Drift(customers, products, await _checksum_drift(connection, partner_id, period))


async def correct(connection: asyncpg.Connection, found: Drift, policy_version: int) -> None:
    """Correct the counters by the drift that was found."""
    known = await locks.lock_customer_counters(connection, found.customers)
    last = {}
    for (partner_id, customer_id), period in found.customers:
        last[(partner_id, customer_id), period] = await connection.fetchval(
            """
            SELECT coalesce(max(occurred_at), timestamptz '1900-01-01 00:00Z') FROM actions
            WHERE partner_id = $1 AND customer_id = $2 AND billing_period = $3
            """,
            partner_id,
            customer_id,
            period,
        )
    versions = dict.fromkeys(found.customers, policy_version)
    await add_customer_totals(connection, found.customers, last, versions, known)
    products = {key: found.products.get(key, Totals()) for key in found.products.keys() | found.checksums.keys()}
    await add_product_totals(connection, products, found.checksums)


async def _checksum_drift(connection: asyncpg.Connection, partner_id: UUID, period: int) -> dict[ProductPeriod, int]:
    stored = await connection.fetch(
        """
        SELECT product_id, sum(checksum) AS checksum FROM product_periods
        WHERE partner_id = $1 AND period = $2 GROUP BY product_id
        """,
        partner_id,
        period,
    )
    checksums = await _checksums(connection, partner_id, period)
    for row in stored:
        product = (partner_id, period, row["product_id"])
        checksums[product] = checksums.get(product, 0) - int(row["checksum"])
    return {product: difference for product, difference in checksums.items() if difference}


async def _checksums(connection: asyncpg.Connection, partner_id: UUID, period: int) -> dict[ProductPeriod, int]:
    sums: dict[bytes, int] = defaultdict(int)
    unfinished = b""

    async def add(data: bytes) -> None:
        nonlocal unfinished
        *rows, unfinished = (unfinished + data).split(b"\n")
        for row in rows:
            product_id, line = row.split(b"\t")
            sums[product_id] += checksum_of_line(line)

    # As text, because a rebuild reads every action of a month here, which may take longer than other statements.
    await connection.copy_from_query(VERDICT_LINES, partner_id, period, output=add, timeout=_COPY_S)
    return {(partner_id, period, UUID(product_id.decode())): total for product_id, total in sums.items()}


# The same line as in `billing.totals.verdict_checksum`.
VERDICT_LINES = """
    SELECT product_id, replace(id::text, '-', '') || billing_period || outcome
        || value_minor || ',' || billed_minor || ',' || rate_rule_id
    FROM actions WHERE partner_id = $1 AND billing_period = $2
"""


def _drift_of(counters: str, owner: str) -> str:
    """A query for the counted verdicts less the counters, by customer or product (`owner`), where they differ."""
    return f"""
        SELECT '{owner}' AS of, {owner}_id AS id, {_each("sum({0})::bigint AS {0}")}
        FROM (
            SELECT {owner}_id, {_each("{0}")} FROM counted
            UNION ALL
            SELECT {owner}_id, {_each("-{0}")} FROM {counters} WHERE partner_id = $1 AND period = $2
        ) AS both_sides
        GROUP BY {owner}_id HAVING {_each("sum({0}) <> 0", " OR ")}
    """  # noqa: S608 - names of our own tables and columns


def _each(template: str, between: str = ", ") -> str:
    return between.join(template.format(name) for name in TOTALS_COLUMNS)


# A lead has one customer and one product, so leads counted by (customer, product) add up to those of either.
_DRIFT = f"""
    WITH counted AS MATERIALIZED (
        SELECT customer_id, product_id, {COUNTED_TOTALS} FROM actions
        WHERE partner_id = $1 AND billing_period = $2 GROUP BY customer_id, product_id
    )
    {_drift_of("customer_periods", "customer")} UNION ALL {_drift_of("product_periods", "product")}
"""  # noqa: S608 - names of our own tables and columns
