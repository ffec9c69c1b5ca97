"""Credit lines (R11): what was billed for a returned action of a closed period, booked in the first open period."""

from uuid import UUID

import asyncpg

from db.ledger.period_counters import CREDIT_SHARD


async def book(connection: asyncpg.Connection, action: asyncpg.Record, period: int, reason: str) -> bool:
    """Credit in `period` what was billed for an action, a row of actions; False if it was credited before."""
    booked = await connection.fetchval(
        """
        INSERT INTO credits (action_id, partner_id, customer_id, product_id, period, amount_minor, reason)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING period
        """,
        action["id"],
        action["partner_id"],
        action["customer_id"],
        action["product_id"],
        period,
        action["billed_minor"],
        reason,
    )
    if booked is None:
        return False
    partner_id, customer_id, product_id = action["partner_id"], action["customer_id"], action["product_id"]
    await _count(connection, partner_id, customer_id, product_id, period, action["billed_minor"])
    return True


async def period_of(connection: asyncpg.Connection, action_id: UUID) -> int | None:
    """The period in which an action was credited; None if it was not."""
    period: int | None = await connection.fetchval("SELECT period FROM credits WHERE action_id = $1", action_id)
    return period


async def turn_into_returns(connection: asyncpg.Connection, partner_id: UUID, billing_period: int) -> None:
    """Cancel the credits for actions of a period that is reopened; these actions are returned in the period itself."""
    rows = await connection.fetch(
        """
        DELETE FROM credits USING actions
        WHERE actions.id = credits.action_id AND credits.partner_id = $1 AND actions.billing_period = $2
        RETURNING credits.*
        """,
        partner_id,
        billing_period,
    )
    await connection.execute(
        "UPDATE actions SET standing = 'returned', standing_reason = reason"
        " FROM unnest($1::uuid[], $2::text[]) AS returned (id, reason) WHERE actions.id = returned.id",
        [row["action_id"] for row in rows],
        [row["reason"] for row in rows],
    )
    for row in rows:
        customer_id, product_id = row["customer_id"], row["product_id"]
        await _count(connection, partner_id, customer_id, product_id, row["period"], -row["amount_minor"])


async def _count(
    connection: asyncpg.Connection,
    partner_id: UUID,
    customer_id: UUID,
    product_id: UUID,
    period: int,
    amount_minor: int,
) -> None:
    """Add a credit to the counters of the period it is booked in; a negative amount takes one back."""
    await connection.execute(
        """
        INSERT INTO customer_periods (partner_id, customer_id, period, credited_minor, policy_version, last_occurred_at)
        SELECT $1, $2, $3, $4, policy_version, timestamptz '1900-01-01 00:00Z' FROM partners WHERE id = $1
        ON CONFLICT (partner_id, customer_id, period)
            DO UPDATE SET credited_minor = customer_periods.credited_minor + excluded.credited_minor
        """,
        partner_id,
        customer_id,
        period,
        amount_minor,
    )
    await connection.execute(
        """
        INSERT INTO product_periods (partner_id, period, product_id, slot, credited_minor) VALUES ($1, $2, $3, $5, $4)
        ON CONFLICT (partner_id, period, product_id, slot)
            DO UPDATE SET credited_minor = product_periods.credited_minor + excluded.credited_minor
        """,
        partner_id,
        period,
        product_id,
        amount_minor,
        CREDIT_SHARD,
    )
