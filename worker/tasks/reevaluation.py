"""Judging the customers of partners again after a change of terms or rates."""

from typing import Any
from uuid import UUID

from db.core.engine import transaction
from db.ledger import reevaluation
from worker.runner import Attempt


async def reevaluate(attempt: Attempt) -> dict[str, Any]:
    """Judge the stale customers of partners by the present terms and rates."""
    return await rejudge_stale(attempt, [UUID(each) for each in attempt.task.arguments["partner_ids"]])


async def rejudge_stale(attempt: Attempt, partner_ids: list[UUID]) -> dict[str, Any]:
    """The same for these partners; the result says how many customers were judged."""
    engine, policies = attempt.runtime.engine, attempt.runtime.policies
    judged = 0
    async with transaction(engine, readonly=True) as connection:
        total = sum([await reevaluation.stale_customers(connection, partner_id) for partner_id in partner_ids])
    for partner_id in partner_ids:
        while count := await reevaluation.rejudge_some_stale(engine, policies, partner_id):
            judged += count
            await attempt.progress(judged, max(total, judged))
    return {"customers": judged}
