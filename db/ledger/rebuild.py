"""Rebuilding a report: every verdict that can still change is judged again, every counter is counted again.

The customers are judged in shares, which several processes can take at once; the counters are counted by one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.actions import Verdict
from billing.identity import report_uuid
from billing.money import amount_from_minor
from billing.policy import Policy
from db.core import locks
from db.core.engine import transaction
from db.ledger import recount, reevaluation
from db.ledger.judging import Case
from db.ledger.periods import periods_used
from db.ledger.policies import Policies
from db.tasks.records import Progress

ACTIONS_PER_RANGE = 40_000
_ACTIONS_AT_ONCE = 5000  # with more of them, a processor waits for its memory
MOST_DIFFERENCES = 100


@dataclass(frozen=True, slots=True)
class CustomerRange:
    """So many customers of a report: those from `first` on and before `until`, which is None for the last ones."""

    first: UUID
    until: UUID | None
    customers: int


async def shares(engine: AsyncEngine, policies: Policies, partner_id: UUID, period: int) -> list[CustomerRange]:
    """Divide the customers of a report; those of a closed period have frozen verdicts, so there is nothing to share."""
    async with transaction(engine) as connection:
        policy = await _policy(connection, policies, partner_id)
        if not policy.is_open(period):
            return []
        # Postgres before 18 has no min() of UUIDs.
        rows = await connection.fetch(
            """
            SELECT (array_agg(customer_id ORDER BY customer_id))[1] AS first, count(*) AS customers
            FROM (
                SELECT customer_id, floor((sum(count(*)) OVER (ORDER BY customer_id) - count(*)) / $3) AS share
                FROM actions WHERE partner_id = $1 AND billing_period = $2 GROUP BY customer_id
            ) AS counted GROUP BY share ORDER BY share
            """,
            partner_id,
            period,
            ACTIONS_PER_RANGE,
        )
    untils = [*(row["first"] for row in rows[1:]), None]
    return [CustomerRange(row["first"], until, row["customers"]) for row, until in zip(rows, untils, strict=False)]


async def judge(
    engine: AsyncEngine, policies: Policies, partner_id: UUID, period: int, share: CustomerRange, progress: Progress
) -> dict[str, Any]:
    """Judge the customers of a share again, correct what differs, and say what did."""
    async with transaction(engine, readonly=True) as connection:
        rows = await connection.fetch(
            """
            SELECT customer_id, count(*) AS actions FROM actions
            WHERE partner_id = $1 AND billing_period = $2
                AND customer_id >= $3 AND ($4::uuid IS NULL OR customer_id < $4)
            GROUP BY customer_id ORDER BY customer_id
            """,
            partner_id,
            period,
            share.first,
            share.until,
        )
    differences: list[dict[str, Any]] = []
    corrected = actions = judged = 0
    for people in _parts(rows):
        for case in await _judge(engine, policies, partner_id, people):
            actions += len(case.verdicts)
            corrected += len(case.changes)
            differences.extend(_difference(before, after) for before, after in case.changes if before)
        del differences[MOST_DIFFERENCES:]
        judged += len(people)
        await progress(judged, len(rows))
    return {
        "customers": len(rows),
        "actions": actions,
        "verdicts_corrected": corrected,
        "differences": differences,
    }


async def correct_counters(engine: AsyncEngine, policies: Policies, partner_id: UUID, period: int) -> int:
    """Count the verdicts of a report again, correct its counters, and say how many were wrong."""
    async with transaction(engine) as connection:
        policy = await _policy(connection, policies, partner_id)
        await locks.lock_report_exclusive(connection, report_uuid(partner_id, period))
        # This snapshot begins after the lock, so it sees what another rebuild has corrected.
        async with transaction(engine, readonly=True) as snapshot:
            found = await recount.drift(snapshot, partner_id, period)
        if found.count:
            await recount.correct(connection, found, policy.version)
    return found.count


def _parts(rows: Sequence[asyncpg.Record]) -> Iterator[list[UUID]]:
    """The customers of (customer, actions) rows, some at a time."""
    people: list[UUID] = []
    actions = 0
    for row in rows:
        people.append(row["customer_id"])
        actions += row["actions"]
        if actions >= _ACTIONS_AT_ONCE:
            yield people
            people, actions = [], 0
    if people:
        yield people


async def _judge(engine: AsyncEngine, policies: Policies, partner_id: UUID, customer_ids: Sequence[UUID]) -> list[Case]:
    try:
        return await _judge_once(engine, policies, partner_id, customer_ids)
    except asyncpg.CheckViolationError:
        # Counters that do not say what the verdicts say may fall below zero when verdicts change: count them first.
        async with transaction(engine) as connection:
            policy = await _policy(connection, policies, partner_id)
            used = await periods_used(connection, partner_id)
        for period in filter(policy.is_open, used):
            await correct_counters(engine, policies, partner_id, period)
        return await _judge_once(engine, policies, partner_id, customer_ids)


async def _judge_once(
    engine: AsyncEngine, policies: Policies, partner_id: UUID, customer_ids: Sequence[UUID]
) -> list[Case]:
    try:
        async with transaction(engine) as connection:
            await locks.lock_partners_shared(connection, [partner_id])
            return await reevaluation.rejudge(connection, policies, partner_id, customer_ids)
    except BaseException:
        policies.clear()
        raise


async def _policy(connection: asyncpg.Connection, policies: Policies, partner_id: UUID) -> Policy:
    await locks.lock_partners_shared(connection, [partner_id])
    return (await policies.load(connection, [partner_id]))[partner_id]


def _difference(before: Verdict, after: Verdict) -> dict[str, Any]:
    return {
        "action_id": after.action.id,
        "was": _shown(before),
        "is": _shown(after),
    }


def _shown(verdict: Verdict) -> dict[str, Any]:
    return {
        "outcome": verdict.outcome,
        "value": amount_from_minor(verdict.action.value_minor),
        "billed": amount_from_minor(verdict.billed_minor),
        "billing_period": verdict.action.billing_period,
    }
