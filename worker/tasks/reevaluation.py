"""Judging stale customers again after changes of terms or rates."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from db.core.engine import transaction
from db.ledger import reevaluation
from worker.leads_first import leads_first
from worker.runner import Attempt

_PAUSE_S = 0.1


async def reevaluate_stale(attempt: Attempt) -> dict[str, Any]:
    """Judge the stale customers of all partners by the present terms and rates, until there is none."""
    engine = attempt.runtime.engine
    judged = 0
    while True:
        async with transaction(engine, readonly=True) as connection:
            partner_ids = await reevaluation.stale_partners(connection)
        now = await rejudge_stale(attempt, partner_ids, judged)
        judged += now
        if now:
            continue
        seen = await reevaluation.settled(engine)
        async with transaction(engine) as connection:
            if await reevaluation.end(connection, attempt.task.id, {"customers": judged}, seen):
                return {"customers": judged}
        await asyncio.sleep(_PAUSE_S)  # another task has them, or a batch


async def reevaluate_partners(attempt: Attempt) -> dict[str, Any]:
    """Judge the stale customers of some partners: the task of an older release."""
    return {"customers": await rejudge_stale(attempt, [UUID(each) for each in attempt.task.arguments["partner_ids"]])}


async def rejudge_stale(attempt: Attempt, partner_ids: Sequence[UUID], before: int = 0) -> int:
    """Judge the stale customers of partners; returns how many, and reports them beside the `before`.

    Some of each partner at a time, so that one with many customers does not keep the others waiting.
    """
    engine, policies = attempt.runtime.engine, attempt.runtime.policies
    async with transaction(engine, readonly=True) as connection:
        total = before + await reevaluation.stale_customers(connection, partner_ids)
    waiting, judged = list(partner_ids), 0
    while waiting:
        some, waiting = waiting[: reevaluation.PARTNERS_AT_ONCE], waiting[reevaluation.PARTNERS_AT_ONCE :]
        async with leads_first(attempt.runtime):
            customers = await reevaluation.rejudge_some_stale(engine, policies, some)
        judged += len(customers)
        found = {partner_id for partner_id, _ in customers}
        waiting += [partner_id for partner_id in some if partner_id in found]
        await attempt.progress(before + judged, max(total, before + judged))
    return judged
