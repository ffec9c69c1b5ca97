"""The customers of a report with their parts of it."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg

from billing.totals import Totals
from db.core.totals_rows import totals_from_row
from db.masters.carried_ids import first_carried

_LOWEST_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class CustomerTotals:
    """One customer's part of a report."""

    customer_id: UUID
    external_id: str
    name: str
    email: str
    totals: Totals
    credited_minor: int


async def page(
    connection: asyncpg.Connection,
    partner_id: UUID,
    period: int,
    *,
    after: UUID | None = None,
    only: UUID | None = None,
    limit: int,
    people: bool = True,
) -> list[CustomerTotals]:
    """The customers of a report after one of them, or only one, in the order of their row keys.

    Without `people` they have the id that leads of the partner carried.
    """
    # One comparison, which the index answers; with `$3 IS NULL OR …` a plan for any page reads from the first customer.
    which, customer_id = ("=", only) if only else (">", after) if after else (">=", _LOWEST_ID)
    customer = "external_id" if people else first_carried("$1")
    rows = await connection.fetch(
        f"""
        SELECT customer_periods.*, customers.external_id, customers.name, customers.email
        FROM customer_periods CROSS JOIN LATERAL (
            -- One by one: a join may read all customers for a page.
            SELECT {customer} AS external_id, name, email FROM customers WHERE id = customer_id OFFSET 0
        ) AS customers
        WHERE partner_id = $1 AND period = $2 AND customer_id {which} $3 AND (actions > 0 OR credited_minor <> 0)
        ORDER BY customer_id LIMIT $4
        """,  # noqa: S608 - the comparisons stand in this function, the id in that module
        partner_id,
        period,
        customer_id,
        limit,
    )
    return [
        CustomerTotals(
            row["customer_id"],
            row["external_id"],
            row["name"],
            row["email"],
            totals_from_row(row),
            row["credited_minor"],
        )
        for row in rows
    ]
