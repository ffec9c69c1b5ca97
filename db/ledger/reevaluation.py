"""Judging customers again: after a change of terms or rates, a reopening, a hold, and in a rebuild."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core import locks
from db.core.engine import transaction
from db.ledger import judging, verdicts
from db.ledger.judging import Case
from db.ledger.periods import store_periods
from db.ledger.policies import Policies

_CUSTOMERS_AT_ONCE = 100


async def stale_customers(connection: asyncpg.Connection, partner_id: UUID) -> int:
    """How many customers of the partner were judged by terms or rates that have changed since."""
    count: int = await connection.fetchval(
        """
        SELECT count(*) FROM customer_states JOIN partners ON partners.id = partner_id
        WHERE partner_id = $1 AND customer_states.policy_version NOT IN (0, partners.policy_version)
        """,
        partner_id,
    )
    return count


async def rejudge_some_stale(engine: AsyncEngine, policies: Policies, partner_id: UUID) -> int:
    """Judge some stale customers of a partner again, in one transaction; returns how many, 0 when none is left."""
    try:
        async with transaction(engine) as connection:
            await locks.lock_partners_shared(connection, [partner_id])
            rows = await connection.fetch(
                """
                SELECT customer_id FROM customer_states JOIN partners ON partners.id = partner_id
                WHERE partner_id = $1 AND customer_states.policy_version NOT IN (0, partners.policy_version)
                ORDER BY customer_id LIMIT $2
                """,
                partner_id,
                _CUSTOMERS_AT_ONCE,
            )
            await rejudge(connection, policies, partner_id, [row["customer_id"] for row in rows])
            return len(rows)
    except BaseException:
        policies.clear()
        raise


async def rejudge(
    connection: asyncpg.Connection, policies: Policies, partner_id: UUID, customer_ids: Sequence[UUID]
) -> list[Case]:
    """Judge all verdicts of customers that can still change, under the partner's lock; writes what differs."""
    if not customer_ids:
        return []
    in_force = await policies.load(connection, [partner_id])
    customers = [(partner_id, customer_id) for customer_id in customer_ids]
    versions = await locks.lock_customers(connection, customers)
    cases = [Case(customer, in_force[partner_id], versions[customer]) for customer in customers]
    await judging.judge_again(connection, cases)
    used = {v.action.own_period for case in cases for v in case.verdicts}
    await store_periods(connection, in_force, {partner_id: used})
    await verdicts.write(connection, cases)
    return cases
