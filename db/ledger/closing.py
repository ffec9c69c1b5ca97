"""Closing and reopening periods (R11): what makes verdicts final, and what makes them open again."""

from datetime import datetime
from uuid import UUID

import asyncpg

from billing.errors import RuleViolation
from billing.periods import name_of_period, next_period, previous_period
from billing.policy import Policy
from billing.totals import Totals, verdict_checksum
from db.core import locks
from db.ledger import reading, reevaluation
from db.ledger.policies import Policies
from db.ledger.verdicts import CREDIT_SHARD, add_customer_totals, add_product_totals


async def check_can_close(connection: asyncpg.Connection, policy: Policy, period: int, now: datetime) -> None:
    """Raise RuleViolation with the reason if the period cannot be closed now."""
    if policy.closed_through is not None and period <= policy.closed_through:
        raise RuleViolation(f"{name_of_period(period)} is already closed.")
    if now < policy.calendar.end_of(period):
        raise RuleViolation(f"{name_of_period(period)} has not ended yet.")
    earlier = policy.first_open
    if policy.closed_through is None:
        earlier = await connection.fetchval(
            "SELECT coalesce(min(billing_period), $2) FROM actions WHERE partner_id = $1 AND billing_period < $2",
            policy.partner_id,
            period,
        )
    if earlier < period:
        raise RuleViolation(f"{name_of_period(earlier)} must be closed first.")


async def check_can_reopen(connection: asyncpg.Connection, policy: Policy, period: int) -> None:
    """Raise RuleViolation with the reason if the period cannot be reopened now."""
    if policy.is_open(period):
        raise RuleViolation(f"{name_of_period(period)} is not closed.")
    assert policy.closed_through is not None
    if period != policy.closed_through:
        raise RuleViolation(f"{name_of_period(policy.closed_through)} must be reopened first; the newest goes first.")
    issued = await connection.fetchval(
        "SELECT number FROM bills WHERE partner_id = $1 AND period = $2 AND issued_at IS NOT NULL",
        policy.partner_id,
        period,
    )
    if issued:
        raise RuleViolation(f"{name_of_period(period)} was billed with {issued}; what is issued never changes.")


async def close(
    connection: asyncpg.Connection, policies: Policies, partner_id: UUID, period: int, now: datetime
) -> bool:
    """Freeze the period's verdicts; False if customers must be judged by the present terms first.

    Held actions are never frozen: they move to the next period (R10).
    """
    await locks.lock_partner_exclusive(connection, partner_id)
    policy = (await policies.load(connection, [partner_id]))[partner_id]
    await check_can_close(connection, policy, period, now)
    if await reevaluation.stale_customers(connection, partner_id):
        return False
    await _move_held(connection, policy, period)
    await connection.execute("UPDATE partners SET closed_through = $2 WHERE id = $1", partner_id, period)
    return True


async def reopen(connection: asyncpg.Connection, policies: Policies, partner_id: UUID, period: int) -> None:
    """Let the verdicts of the newest closed period change again; every customer is to be judged again afterwards.

    What was returned while the period was frozen is no longer a credit later: it is a returned action now.
    """
    await locks.lock_partner_exclusive(connection, partner_id)
    policy = (await policies.load(connection, [partner_id]))[partner_id]
    await check_can_reopen(connection, policy, period)
    await connection.execute(
        "UPDATE bills SET state = 'voided' WHERE partner_id = $1 AND period = $2 AND state <> 'voided'",
        partner_id,
        period,
    )
    await connection.execute(
        "UPDATE partners SET closed_through = $2, policy_version = policy_version + 1 WHERE id = $1",
        partner_id,
        previous_period(period),
    )
    credited = await connection.fetch(
        """
        DELETE FROM credits USING actions
        WHERE actions.id = credits.action_id AND credits.partner_id = $1 AND actions.billing_period = $2
        RETURNING credits.*
        """,
        partner_id,
        period,
    )
    await connection.execute(
        "UPDATE actions SET standing = 'returned', standing_reason = reason"
        " FROM unnest($1::uuid[], $2::text[]) AS returned (id, reason) WHERE actions.id = returned.id",
        [row["action_id"] for row in credited],
        [row["reason"] for row in credited],
    )
    for row in credited:
        await add_credit(
            connection, partner_id, row["customer_id"], row["product_id"], row["period"], -row["amount_minor"]
        )


async def add_credit(
    connection: asyncpg.Connection,
    partner_id: UUID,
    customer_id: UUID,
    product_id: UUID,
    period: int,
    amount_minor: int,
) -> None:
    """Count a credit in the period it is booked in; a negative amount takes one back."""
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


async def _move_held(connection: asyncpg.Connection, policy: Policy, period: int) -> None:
    later = next_period(period)
    held = await connection.fetch(
        "SELECT * FROM actions WHERE partner_id = $1 AND billing_period = $2 AND outcome = 'held'",
        policy.partner_id,
        period,
    )
    if not held:
        return
    people = sorted({row["customer_id"] for row in held})
    totals: dict[tuple[reading.Customer, int], Totals] = {}
    by_product: dict[tuple[UUID, int, UUID], Totals] = {}
    checksums: dict[tuple[UUID, int, UUID], int] = {}
    last: dict[tuple[reading.Customer, int], datetime] = {}
    for row in held:
        before = reading.verdict_from_row(row)
        after = reading.verdict_from_row({**row, "billing_period": later})
        for verdict, sign in ((before, -1), (after, 1)):
            action, at = verdict.action, verdict.action.billing_period
            customer = ((policy.partner_id, row["customer_id"]), at)
            product = (policy.partner_id, at, action.product_id)
            totals.setdefault(customer, Totals()).add(verdict.outcome, action.value_minor, 0, sign)
            by_product.setdefault(product, Totals()).add(verdict.outcome, action.value_minor, 0, sign)
            checksums[product] = checksums.get(product, 0) + sign * verdict_checksum(verdict)
            last[customer] = max(last.get(customer, action.occurred_at), action.occurred_at)
    lead_rows = await connection.fetch(
        """
        SELECT lead_id, customer_id, product_id,
               bool_or(billing_period = $3) AS was_later,
               bool_or(billing_period = $2 AND outcome <> 'held') AS remains
        FROM actions WHERE lead_id = ANY($1::uuid[]) GROUP BY lead_id, customer_id, product_id
        """,
        list({row["lead_id"] for row in held}),
        period,
        later,
    )
    for row in lead_rows:
        customer_id, product_id = (policy.partner_id, row["customer_id"]), row["product_id"]
        if not row["remains"]:
            totals[customer_id, period].leads -= 1
            by_product[policy.partner_id, period, product_id].leads -= 1
        if not row["was_later"]:
            totals[customer_id, later].leads += 1
            by_product[policy.partner_id, later, product_id].leads += 1
    known = await reading.periods_of(connection, [((policy.partner_id, customer_id), period) for customer_id in people])
    await connection.execute(
        "UPDATE actions SET billing_period = $3 WHERE partner_id = $1 AND billing_period = $2 AND outcome = 'held'",
        policy.partner_id,
        period,
        later,
    )
    versions = dict.fromkeys(totals, policy.version)
    await add_customer_totals(
        connection, totals, last, versions, {(c, p) for c, periods in known.items() for p in periods}
    )
    await add_product_totals(connection, by_product, checksums)
