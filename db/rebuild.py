"""Rebuilding a report: every verdict that can still change is judged again, every counter is counted again."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.actions import Verdict
from billing.identity import report_uuid
from billing.money import amount_from_minor
from billing.policy import Policy
from db import locks, masters, recount, rejudge
from db.engine import transaction
from db.judge import Case
from db.policies import Policies

_CUSTOMERS_AT_ONCE = 200
_PARTS_AT_ONCE = 2
_MOST_DIFFERENCES = 100


async def rebuild(
    engine: AsyncEngine,
    policies: Policies,
    partner_id: UUID,
    period: int,
    progress: Callable[[int, int], Awaitable[None]],
) -> dict[str, Any]:
    """Re-evaluate one partner and period, correct what differs, and say what did.

    Verdicts of a closed period are frozen; of it only the counters are checked and corrected.
    """
    async with transaction(engine) as connection:
        await locks.share_partners(connection, [partner_id])
        policy = (await policies.load(connection, [partner_id]))[partner_id]
        people = [
            row["customer_id"]
            for row in await connection.fetch(
                """
                SELECT customer_id FROM customer_states
                WHERE partner_id = $1 AND EXISTS (
                    SELECT FROM actions WHERE actions.partner_id = $1 AND billing_period = $2
                        AND actions.customer_id = customer_states.customer_id
                ) ORDER BY customer_id
                """,
                partner_id,
                period,
            )
        ]
    differences: list[dict[str, Any]] = []
    corrected = actions = judged = 0
    telling = asyncio.Lock()
    starts = iter(range(0, len(people) if policy.is_open(period) else 0, _CUSTOMERS_AT_ONCE))

    async def judge_parts() -> None:
        nonlocal corrected, actions, judged
        for start in starts:
            some = people[start : start + _CUSTOMERS_AT_ONCE]
            for case in await _judge(engine, policies, policy, some):
                actions += len(case.verdicts)
                corrected += len(case.changes)
                differences.extend(_difference(before, after) for before, after in case.changes if before)
            del differences[_MOST_DIFFERENCES:]
            judged += len(some)
            async with telling:
                await progress(judged, len(people))

    # While Postgres reads one part, another is judged here, and the counters are counted there.
    counters, *_ = await _at_once(
        _correct_counters(engine, policy, period), *(judge_parts() for _ in range(_PARTS_AT_ONCE))
    )
    await progress(len(people), len(people))
    return {
        "customers": len(people),
        "actions": actions,
        "verdicts_corrected": corrected,
        "counters_corrected": counters,
        "differences": differences,
    }


async def _at_once(*work: Coroutine[Any, Any, Any]) -> list[Any]:
    """What each of them returns; if one fails, its error, after the others were cancelled."""
    at_work = [asyncio.create_task(each) for each in work]
    try:
        return await asyncio.gather(*at_work)
    finally:
        for each in at_work:
            each.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)


async def _judge(engine: AsyncEngine, policies: Policies, policy: Policy, customer_ids: Sequence[UUID]) -> list[Case]:
    try:
        return await _judge_once(engine, policies, policy, customer_ids)
    except asyncpg.CheckViolationError:
        # Counters that do not say what the verdicts say may fall below zero when verdicts change: count them first.
        async with transaction(engine, readonly=True) as connection:
            used = await masters.periods_used(connection, policy.partner_id)
        for period in filter(policy.is_open, used):
            await _correct_counters(engine, policy, period)
        return await _judge_once(engine, policies, policy, customer_ids)


async def _judge_once(
    engine: AsyncEngine, policies: Policies, policy: Policy, customer_ids: Sequence[UUID]
) -> list[Case]:
    try:
        async with transaction(engine) as connection:
            await locks.share_partners(connection, [policy.partner_id])
            return await rejudge.rejudge(connection, policies, policy.partner_id, customer_ids)
    except BaseException:
        policies.forget()
        raise


async def _correct_counters(engine: AsyncEngine, policy: Policy, period: int) -> int:
    async with transaction(engine) as connection:
        await locks.own_report(connection, report_uuid(policy.partner_id, period))
        # This snapshot begins after the lock, so it sees what another rebuild has corrected.
        async with transaction(engine, readonly=True) as snapshot:
            found = await recount.drift(snapshot, policy.partner_id, period)
        if found.count:
            await recount.correct(connection, found, policy.version)
    return found.count


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
