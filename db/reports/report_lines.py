"""The lines of a report: its actions, explained, and the credits booked in its period."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from db.masters.carried_ids import first_carried
from db.reports import explained_actions
from db.reports.explained_actions import Line, lines_of_customers

CUSTOMERS_AT_ONCE = 200
CREDITS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class BookedCredit:
    """What is credited for a returned action of a closed period, `billing_period` (R11)."""

    amount_minor: int
    reason: str
    action_id: UUID
    email: str
    customer: str
    customer_name: str
    product: str
    product_name: str
    lead: str
    lead_type: str
    action_type: str
    engagement_level: str
    occurred_at: datetime
    billing_period: int


async def lines(
    connection: asyncpg.Connection, partner_id: UUID, period: int, *, people: bool = True
) -> AsyncIterator[Line]:
    """All actions of a report, explained, by customer; a few thousand of them are in memory at a time."""
    after = None
    while True:
        rows = await connection.fetch(
            """
            SELECT customer_id FROM (
                SELECT customer_id, sum(actions) OVER (ORDER BY customer_id) - actions AS actions_before
                FROM (
                    SELECT customer_id, actions FROM customer_periods
                    WHERE partner_id = $1 AND period = $2 AND actions > 0 AND ($3::uuid IS NULL OR customer_id > $3)
                    ORDER BY customer_id LIMIT $4
                ) AS following
            ) AS counted
            WHERE actions_before < $5 ORDER BY customer_id
            """,
            partner_id,
            period,
            after,
            CUSTOMERS_AT_ONCE,
            explained_actions.ACTIONS_AT_ONCE,
        )
        if not rows:
            return
        customer_ids = [row["customer_id"] for row in rows]
        async for piece in lines_of_customers(connection, partner_id, period, customer_ids, people=people):
            for line in piece:
                yield line
        after = customer_ids[-1]


async def booked_credits(
    connection: asyncpg.Connection, partner_id: UUID, period: int, *, people: bool = True
) -> AsyncIterator[Sequence[BookedCredit]]:
    """What is credited in a period for returned actions of closed periods, in the order it was booked, in pieces.

    They are read with a cursor, so call it in a transaction.
    """
    customer = "customers.external_id" if people else first_carried("$1")
    cursor = await connection.cursor(
        f"""
        SELECT credits.amount_minor, credits.reason, credits.action_id, customers.email,
               {customer} AS customer, customers.name AS customer_name, products.external_id AS product,
               products.name AS product_name, leads.external_id AS lead, leads.lead_type,
               actions.action_type, actions.engagement_level, actions.occurred_at, actions.billing_period
        FROM credits JOIN actions ON actions.id = credits.action_id JOIN leads ON leads.id = actions.lead_id
        JOIN customers ON customers.id = credits.customer_id JOIN products ON products.id = credits.product_id
        WHERE credits.partner_id = $1 AND credits.period = $2 ORDER BY credits.created_at, credits.action_id
        """,  # noqa: S608 - an id of ours
        partner_id,
        period,
    )
    while rows := await cursor.fetch(CREDITS_AT_ONCE):
        yield [BookedCredit(**row) for row in rows]
