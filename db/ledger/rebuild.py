"""Rebuilding a report: every verdict that can still change is judged again, every counter is counted again.

The customers are judged in ranges, which several processes can take at once; one process counts. Each public function
takes the engine, and opens transactions of its own: a rebuild is too long for one.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.actions import Verdict
from billing.identity import report_uuid
from billing.money import amount_from_minor
from billing.periods import text_from_period
from billing.policy import Policy
from db.core import locks
from db.core.engine import transaction
from db.core.unit_of_work import UnitOfWork
from db.ledger import recount, reevaluation
from db.ledger.periods import periods_used
from db.ledger.policies import Policies
from db.tasks import records as tasks
from db.tasks.records import Progress

ACTIONS_PER_RANGE = 40_000
ACTIONS_AT_ONCE = 5_000  # more of them no longer fit into the cache of a processor
MOST_DIFFERENCES = 100


KIND = "rebuild"
"""The kind of its background task."""


@dataclass(frozen=True, slots=True)
class CustomerRange:
    """Some customers of a report: the ids from `first` to before `until`, which is None for the last range."""

    first: UUID
    until: UUID | None
    customers: int


@dataclass(frozen=True, slots=True)
class RangeResult:
    """What a rebuild of one range did; `differences` are the first `MOST_DIFFERENCES`, as JSON shows them."""

    customers: int
    actions: int
    verdicts_corrected: int
    differences: list[dict[str, Any]]


Remember = Callable[[asyncpg.Connection, UUID, RangeResult], Awaitable[None]]
"""Stores, in the transaction that corrects verdicts, the last customer judged and what was done so far."""


async def start(uow: UnitOfWork, partner_id: UUID, period: int) -> UUID:
    """Start the task that rebuilds a report and return its id; while one for the same report runs, that one's id."""
    await uow.audit("report.rebuilt", partner_id, after={"period": text_from_period(period)})
    arguments = {"partner_id": partner_id, "period": period}
    return await tasks.start(uow, KIND, arguments, dedup_key=str(report_uuid(partner_id, period)))


async def customer_ranges(
    engine: AsyncEngine, policies: Policies, partner_id: UUID, period: int
) -> list[CustomerRange]:
    """Divide the customers of a report into ranges; none for a closed period, whose verdicts are frozen."""
    async with transaction(engine) as connection:
        policy = await _policy(connection, policies, partner_id)
        if not policy.is_open(period):
            return []
        # Postgres before 18 has no min() of UUIDs.
        rows = await connection.fetch(
            """
            SELECT (array_agg(customer_id ORDER BY customer_id))[1] AS first, count(*) AS customers
            FROM (
                SELECT customer_id, floor((sum(count(*)) OVER (ORDER BY customer_id) - count(*)) / $3) AS range
                FROM actions WHERE partner_id = $1 AND billing_period = $2 GROUP BY customer_id
            ) AS counted GROUP BY range ORDER BY range
            """,
            partner_id,
            period,
            ACTIONS_PER_RANGE,
        )
    untils = [*(row["first"] for row in rows[1:]), None]
    return [CustomerRange(row["first"], until, row["customers"]) for row, until in zip(rows, untils, strict=False)]


async def judge_range(
    engine: AsyncEngine,
    policies: Policies,
    partner_id: UUID,
    period: int,
    within: CustomerRange,
    progress: Progress,
    remember: Remember | None = None,
    earlier: tuple[UUID, RangeResult] | None = None,
) -> RangeResult:
    """Judge the customers of a range again, and correct the verdicts that differ.

    `earlier` is what `remember` was told last, by an attempt that was killed: this one goes on from there.
    """
    after, done = earlier or (None, RangeResult(0, 0, 0, []))
    async with transaction(engine, readonly=True) as connection:
        rows = await connection.fetch(
            """
            SELECT customer_id, count(*) AS actions FROM actions
            WHERE partner_id = $1 AND billing_period = $2
                AND customer_id >= $3 AND ($4::uuid IS NULL OR customer_id < $4)
                AND ($5::uuid IS NULL OR customer_id > $5)
            GROUP BY customer_id ORDER BY customer_id
            """,
            partner_id,
            period,
            within.first,
            within.until,
            after,
        )
    total = done.customers + len(rows)
    await progress(done.customers, total)
    for customer_ids in _parts(rows):
        done = await _judge(engine, policies, partner_id, customer_ids, done, remember)
        await progress(done.customers, total)
    return done


async def correct_counters(
    engine: AsyncEngine,
    policies: Policies,
    partner_id: UUID,
    period: int,
    remember: Callable[[asyncpg.Connection, int], Awaitable[None]] | None = None,
) -> int:
    """Count the verdicts of a report again and correct its counters; returns how many were wrong.

    It counts in a second transaction within the first, on another connection: a snapshot that begins after the lock.
    `remember` is told that number in the transaction that corrects.
    """
    async with transaction(engine) as connection:
        policy = await _policy(connection, policies, partner_id)
        await locks.lock_report_exclusive(connection, report_uuid(partner_id, period))
        async with transaction(engine, readonly=True) as snapshot:
            found = await recount.drift(snapshot, partner_id, period)
        if found.count:
            await recount.correct(connection, found, policy.version)
            if remember:
                await remember(connection, found.count)
    return found.count


def _parts(rows: Sequence[asyncpg.Record]) -> Iterator[list[UUID]]:
    """The customers of (customer, actions) rows, in parts of up to `ACTIONS_AT_ONCE` actions.

    One with more is alone: leads of all customers of a part wait until it is judged.
    """
    customer_ids: list[UUID] = []
    actions = 0
    for row in rows:
        if customer_ids and actions + row["actions"] > ACTIONS_AT_ONCE:
            yield customer_ids
            customer_ids, actions = [], 0
        customer_ids.append(row["customer_id"])
        actions += row["actions"]
    if customer_ids:
        yield customer_ids


async def _judge(
    engine: AsyncEngine,
    policies: Policies,
    partner_id: UUID,
    customer_ids: Sequence[UUID],
    done: RangeResult,
    remember: Remember | None,
) -> RangeResult:
    """Judge some customers again; returns what was done with them and before."""
    try:
        return await _judge_once(engine, policies, partner_id, customer_ids, done, remember)
    except asyncpg.CheckViolationError:
        # Wrong counters may fall below zero when verdicts change, which the database refuses: correct them first.
        async with transaction(engine) as connection:
            policy = await _policy(connection, policies, partner_id)
            used = await periods_used(connection, partner_id)
        for period in filter(policy.is_open, used):
            await correct_counters(engine, policies, partner_id, period)
        return await _judge_once(engine, policies, partner_id, customer_ids, done, remember)


async def _judge_once(
    engine: AsyncEngine,
    policies: Policies,
    partner_id: UUID,
    customer_ids: Sequence[UUID],
    done: RangeResult,
    remember: Remember | None,
) -> RangeResult:
    async with reevaluation.judging_transaction(engine, policies) as connection:
        await locks.lock_partners_shared(connection, [partner_id])
        customers = [(partner_id, customer_id) for customer_id in customer_ids]
        cases = await reevaluation.rejudge(connection, policies, customers)
        changes = [change for case in cases for change in case.changes]
        differences = [_difference_out(before, after) for before, after in changes if before]
        done = RangeResult(
            customers=done.customers + len(customer_ids),
            actions=done.actions + sum(len(case.verdicts) for case in cases),
            verdicts_corrected=done.verdicts_corrected + len(changes),
            differences=(done.differences + differences)[:MOST_DIFFERENCES],
        )
        if remember and changes:
            await remember(connection, customer_ids[-1], done)
    return done


async def _policy(connection: asyncpg.Connection, policies: Policies, partner_id: UUID) -> Policy:
    """The policy of a partner, which stays as it is until the transaction ends."""
    await locks.lock_partners_shared(connection, [partner_id])
    return (await policies.load(connection, [partner_id]))[partner_id]


def _difference_out(before: Verdict, after: Verdict) -> dict[str, Any]:
    return {
        "action_id": after.action.id,
        "was": _verdict_out(before),
        "is": _verdict_out(after),
    }


def _verdict_out(verdict: Verdict) -> dict[str, Any]:
    return {
        "outcome": verdict.outcome,
        "value": amount_from_minor(verdict.action.value_minor),
        "billed": amount_from_minor(verdict.billed_minor),
        "billing_period": verdict.action.billing_period,
    }
