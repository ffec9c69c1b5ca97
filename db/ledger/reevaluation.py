"""Judging customers again: after a change of terms or rates, a reopening, a hold, and in a rebuild."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core import locks
from db.core.engine import transaction
from db.core.unit_of_work import UnitOfWork
from db.ledger import judging, verdicts
from db.ledger.case import Case
from db.ledger.periods import store_periods
from db.ledger.policies import Policies
from db.tasks import records as tasks

KIND = "reevaluate"
"""The kind of its background task."""

_CUSTOMERS_AT_ONCE = 100


async def start(uow: UnitOfWork, partner_ids: Sequence[UUID]) -> UUID:
    """Start the task that judges the stale customers of partners again; returns its id."""
    return await tasks.start(uow, KIND, {"partner_ids": partner_ids})


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
    async with judging_transaction(engine, policies) as connection:
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


@asynccontextmanager
async def judging_transaction(engine: AsyncEngine, policies: Policies) -> AsyncIterator[asyncpg.Connection]:
    """A transaction that judges; if it fails, the policies are read again, for its stored periods are rolled back."""
    try:
        async with transaction(engine) as connection:
            yield connection
    except BaseException:
        policies.clear()
        raise


async def rejudge(
    connection: asyncpg.Connection, policies: Policies, partner_id: UUID, customer_ids: Sequence[UUID]
) -> list[Case]:
    """Judge all actions of customers whose verdicts can still change, and write what differs.

    Call it under the lock of the partner.
    """
    if not customer_ids:
        return []
    in_force = await policies.load(connection, [partner_id])
    customers = [(partner_id, customer_id) for customer_id in customer_ids]
    versions = await locks.lock_customers(connection, customers)
    cases = [Case(customer, in_force[partner_id], versions[customer]) for customer in customers]
    await judging.judge_again(connection, cases)
    used = {verdict.action.own_period for case in cases for verdict in case.verdicts}
    await store_periods(connection, in_force, {partner_id: used})
    await verdicts.write(connection, cases)
    return cases
