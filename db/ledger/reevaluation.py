"""Judging customers again: after a change of terms or rates, a reopening, a hold, and in a rebuild.

A change makes customers stale by raising their partner's policy version. One background task judges all that are stale,
of all partners, so however many changes come while it runs, it is one task, and no customer is judged twice for them.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core import locks
from db.core.engine import autocommit, transaction
from db.core.unit_of_work import UnitOfWork
from db.ledger import judging, verdicts
from db.ledger.case import Case, Customer
from db.ledger.periods import store_periods
from db.ledger.policies import Policies
from db.tasks import records as tasks

KIND = "reevaluate_stale"
"""The kind of its background task."""

FORMER_KIND = "reevaluate"
"""What releases before made of each change, with the partners as its argument: one that they left behind is still run.
It goes with the next release.
"""

PARTNERS_AT_ONCE = 50
CUSTOMERS_AT_ONCE = 100
MOST_ACTIONS = 5_000
"""Of one transaction, which whoever wants the lock of a partner waits for. A customer with more is alone."""


async def start(uow: UnitOfWork) -> UUID:
    """Start the task that judges stale customers again, or announce the one that has not ended; returns its id."""
    return await tasks.start(uow, KIND, {}, dedup_key=KIND)


async def changes(connection: asyncpg.Connection) -> int:
    """How many changes of terms and rates partners have seen, all together."""
    count: int = await connection.fetchval("SELECT coalesce(sum(policy_version), 0)::bigint FROM partners")
    return count


async def settled(engine: AsyncEngine) -> int:
    """Wait until nobody is judging by older terms or rates than now; returns the number of `changes` until now."""
    async with autocommit(engine) as connection:
        seen = await changes(connection)
        await locks.wait_for_judging(connection)
    return seen


async def end(connection: asyncpg.Connection, task_id: UUID, result: dict[str, Any], seen: int) -> bool:
    """End the task, unless there are stale customers, or there can be: `seen` changes are `settled`, and no more.

    A change that finds the task unfinished locks its row until it is committed, and this waits for it before it looks
    for the last time. So no change relies on a task that has looked already.
    """
    await locks.lock_task_row(connection, task_id)
    if await changes(connection) != seen or await stale_partners(connection):
        return False
    await tasks.finish(connection, task_id, result)
    return True


async def stale_partners(connection: asyncpg.Connection) -> list[UUID]:
    """The partners with stale customers."""
    rows = await connection.fetch(
        """
        SELECT id FROM partners WHERE EXISTS (
            SELECT FROM customer_states WHERE partner_id = partners.id
                AND customer_states.policy_version > 0 AND customer_states.policy_version < partners.policy_version
        ) ORDER BY id
        """
    )
    return [row["id"] for row in rows]


async def stale_customers(connection: asyncpg.Connection, partner_ids: Sequence[UUID]) -> int:
    """How many customers of partners were judged by terms or rates that have changed since."""
    count: int = await connection.fetchval(
        """
        SELECT count(*) FROM partners JOIN customer_states ON partner_id = partners.id
            AND customer_states.policy_version > 0 AND customer_states.policy_version < partners.policy_version
        WHERE partners.id = ANY($1::uuid[])
        """,
        list(partner_ids),
    )
    return count


async def open_actions(connection: asyncpg.Connection, customers: Sequence[Customer]) -> int:
    """How many actions customers have whose verdicts can still change."""
    count: int = await connection.fetchval(
        """
        SELECT coalesce(sum(actions), 0)::bigint
        FROM unnest($1::uuid[], $2::uuid[]) AS wanted (partner_id, customer_id)
        JOIN customer_periods USING (partner_id, customer_id)
        JOIN partners ON partners.id = partner_id
        WHERE closed_through IS NULL OR period > closed_through
        """,
        [partner_id for partner_id, _ in customers],
        [customer_id for _, customer_id in customers],
    )
    return count


async def rejudge_some_stale(
    engine: AsyncEngine, policies: Policies, partner_ids: Sequence[UUID], most_actions: int = MOST_ACTIONS
) -> list[Customer]:
    """Judge some stale customers of partners again, in one transaction; returns them, none if no stale one is free.

    Those that another transaction has locked are passed over: it judges them by the present terms and rates.
    """
    async with judging_transaction(engine, policies) as connection:
        await locks.lock_partners_shared(connection, partner_ids)
        customers = await _lock_some_stale(connection, partner_ids, most_actions)
        await rejudge(connection, policies, customers)
        return customers


async def _lock_some_stale(
    connection: asyncpg.Connection, partner_ids: Sequence[UUID], most_actions: int
) -> list[Customer]:
    """Lock stale customers that are free, no more than one transaction judges.

    The others are free again at once: while a hundred thousand actions of one customer are judged, which takes
    seconds, leads of a hundred others would wait.
    """
    most_each = max(CUSTOMERS_AT_ONCE // max(len(partner_ids), 1), 1)
    savepoint = connection.transaction()
    await savepoint.start()
    customers = await locks.lock_stale_customers(connection, partner_ids, most_each)
    fitting = await _fitting(connection, customers, most_actions)
    if len(fitting) == len(customers):
        await savepoint.commit()
        return fitting
    await savepoint.rollback()
    return await locks.lock_free_customers(connection, fitting)


async def _fitting(connection: asyncpg.Connection, customers: Sequence[Customer], most_actions: int) -> list[Customer]:
    """The first customers that have no more open actions together; at least one."""
    rows = await connection.fetch(
        """
        SELECT (
            SELECT coalesce(sum(actions), 0)::bigint FROM customer_periods
            WHERE customer_periods.partner_id = wanted.partner_id AND customer_periods.customer_id = wanted.customer_id
                AND (closed_through IS NULL OR period > closed_through)
        ) AS actions
        FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS wanted (partner_id, customer_id, place)
        JOIN partners ON partners.id = wanted.partner_id ORDER BY place
        """,
        [partner_id for partner_id, _ in customers],
        [customer_id for _, customer_id in customers],
    )
    fitting: list[Customer] = []
    actions = 0
    for customer, row in zip(customers, rows, strict=True):
        actions += row["actions"]
        if fitting and actions > most_actions:
            break
        fitting.append(customer)
    return fitting


@asynccontextmanager
async def judging_transaction(engine: AsyncEngine, policies: Policies) -> AsyncIterator[asyncpg.Connection]:
    """A transaction that judges; if it fails, the policies are read again, for its stored periods are rolled back."""
    try:
        async with transaction(engine) as connection:
            yield connection
    except BaseException:
        policies.clear()
        raise


async def rejudge(connection: asyncpg.Connection, policies: Policies, customers: Sequence[Customer]) -> list[Case]:
    """Judge all actions of customers whose verdicts can still change, and write what differs.

    Call it under the locks of their partners.
    """
    if not customers:
        return []
    versions = await locks.lock_customers(connection, customers)
    in_force = await policies.load(connection, {partner_id for partner_id, _ in customers})
    cases = [Case(customer, in_force[customer[0]], versions[customer]) for customer in customers]
    await judging.judge_again(connection, cases)
    used: dict[UUID, set[int]] = defaultdict(set)
    for case in cases:
        used[case.customer[0]] |= {verdict.action.own_period for verdict in case.verdicts}
    await store_periods(connection, in_force, used)
    await verdicts.write(connection, cases)
    return cases
