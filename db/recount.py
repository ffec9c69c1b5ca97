"""Counting from the stored verdicts what the counters should say, and the difference between the two (R9)."""

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeVar
from uuid import UUID

import asyncpg

from billing.actions import Outcome
from billing.totals import TOTALS_COLUMNS, Totals, checksum
from db.ledger import Customer
from db.reports import totals_from_row
from db.verdicts import ProductPeriod, add_customer_totals, add_product_totals

_ROWS_AT_ONCE = 5_000

Key = TypeVar("Key", bound=Hashable)
_figures = attrgetter(*TOTALS_COLUMNS)

_RECOUNTED = ", ".join(
    [
        "count(DISTINCT lead_id) AS leads",
        "count(*) AS actions",
        *(f"count(*) FILTER (WHERE outcome = '{outcome}') AS {outcome}" for outcome in Outcome),
        "sum(value_minor)::bigint AS gross_minor",
        "sum(billed_minor)::bigint AS billed_minor",
        "coalesce(sum(value_minor) FILTER (WHERE outcome = 'duplicate'), 0)::bigint AS duplicate_savings_minor",
        "coalesce(sum(value_minor - billed_minor) FILTER (WHERE outcome IN ('partly_billed', 'capped')), 0)::bigint"
        " AS cap_savings_minor",
        "coalesce(sum(value_minor) FILTER (WHERE outcome = 'held'), 0)::bigint AS held_minor",
        "coalesce(sum(value_minor) FILTER (WHERE outcome = 'returned'), 0)::bigint AS returned_minor",
    ]
)


@dataclass(slots=True)
class Drift:
    """By how much the counters of one partner and period are wrong: what to add to make them right."""

    customers: dict[tuple[Customer, int], Totals]
    products: dict[ProductPeriod, Totals]
    checksums: dict[ProductPeriod, int]

    @property
    def count(self) -> int:
        """How many counters are wrong."""
        return len(self.customers) + len(self.products.keys() | self.checksums.keys())


async def customer_drift(
    connection: asyncpg.Connection, partner_id: UUID, period: int
) -> dict[tuple[Customer, int], Totals]:
    """What to add to the counters of customers; read in one snapshot, it stays right while others count on."""
    counted = await connection.fetch(
        f"""
        SELECT customer_id, {_RECOUNTED} FROM actions
        WHERE partner_id = $1 AND billing_period = $2 GROUP BY customer_id
        """,
        partner_id,
        period,
    )
    kept = await connection.fetch(
        "SELECT * FROM customer_periods WHERE partner_id = $1 AND period = $2", partner_id, period
    )
    right = {((partner_id, row["customer_id"]), period): totals_from_row(row) for row in counted}
    have = {((partner_id, row["customer_id"]), period): totals_from_row(row) for row in kept}
    return _differences(right, have)


async def product_drift(connection: asyncpg.Connection, partner_id: UUID, period: int) -> dict[ProductPeriod, Totals]:
    """What to add to the counters of products, which the report's totals are the sum of."""
    counted = await connection.fetch(
        f"""
        SELECT product_id, {_RECOUNTED} FROM actions
        WHERE partner_id = $1 AND billing_period = $2 GROUP BY product_id
        """,
        partner_id,
        period,
    )
    sums = ", ".join(f"sum({name})::bigint AS {name}" for name in TOTALS_COLUMNS)
    kept = await connection.fetch(
        f"""
        SELECT product_id, {sums} FROM product_periods
        WHERE partner_id = $1 AND period = $2 GROUP BY product_id
        """,
        partner_id,
        period,
    )
    right = {(partner_id, period, row["product_id"]): totals_from_row(row) for row in counted}
    have = {(partner_id, period, row["product_id"]): totals_from_row(row) for row in kept}
    return _differences(right, have)


async def drift(connection: asyncpg.Connection, partner_id: UUID, period: int) -> Drift:
    """What to add to all counters of a partner and period, the checksums included."""
    return Drift(
        await customer_drift(connection, partner_id, period),
        await product_drift(connection, partner_id, period),
        await _checksum_drift(connection, partner_id, period),
    )


async def correct(connection: asyncpg.Connection, found: Drift, policy_version: int) -> None:
    """Add what is missing to the counters."""
    rows = await connection.fetch(
        """
        SELECT partner_id, customer_id, period FROM customer_periods
        WHERE (partner_id, customer_id, period) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[])) FOR UPDATE
        """,
        [customer[0] for customer, _ in found.customers],
        [customer[1] for customer, _ in found.customers],
        [period for _, period in found.customers],
    )
    known = {((row["partner_id"], row["customer_id"]), row["period"]) for row in rows}
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
    products = {at: found.products.get(at, Totals()) for at in found.products.keys() | found.checksums.keys()}
    await add_product_totals(connection, products, found.checksums)


async def _checksum_drift(connection: asyncpg.Connection, partner_id: UUID, period: int) -> dict[ProductPeriod, int]:
    kept = await connection.fetch(
        """
        SELECT product_id, sum(checksum) AS checksum FROM product_periods
        WHERE partner_id = $1 AND period = $2 GROUP BY product_id
        """,
        partner_id,
        period,
    )
    checksums = await _checksums(connection, partner_id, period)
    for row in kept:
        at = (partner_id, period, row["product_id"])
        checksums[at] = checksums.get(at, 0) - int(row["checksum"])
    return {at: difference for at, difference in checksums.items() if difference}


async def _checksums(connection: asyncpg.Connection, partner_id: UUID, period: int) -> dict[ProductPeriod, int]:
    sums: dict[UUID, int] = defaultdict(int)
    cursor = await connection.cursor(
        """
        SELECT product_id, id, billing_period, outcome::text, value_minor, billed_minor, rate_rule_id FROM actions
        WHERE partner_id = $1 AND billing_period = $2
        """,
        partner_id,
        period,
    )
    while rows := await cursor.fetch(_ROWS_AT_ONCE):
        for product_id, *verdict in rows:
            sums[product_id] += checksum(*verdict)
    return {(partner_id, period, product_id): total for product_id, total in sums.items()}


def _differences(right: dict[Key, Totals], have: dict[Key, Totals]) -> dict[Key, Totals]:
    result = {}
    for at in right.keys() | have.keys():
        wanted, kept = _figures(right.get(at, Totals())), _figures(have.get(at, Totals()))
        if wanted != kept:
            result[at] = Totals(*(w - k for w, k in zip(wanted, kept, strict=True)))
    return result
