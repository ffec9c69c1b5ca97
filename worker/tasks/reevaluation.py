"""Judging the customers of partners again after a change of terms or rates."""

from typing import Any
from uuid import UUID

from db.core.engine import transaction
from db.ledger import reevaluation
from worker.runner import Job


async def reevaluate(job: Job) -> dict[str, Any]:
    """Judge the stale customers of partners by the present terms and rates."""
    return await rejudge_stale(job, [UUID(each) for each in job.task.arguments["partner_ids"]])


async def rejudge_stale(job: Job, partner_ids: list[UUID]) -> dict[str, Any]:
    """The same for these partners; the result says how many customers were judged."""
    engine, policies = job.runtime.engine, job.runtime.policies
    judged = 0
    async with transaction(engine, readonly=True) as connection:
        total = sum([await reevaluation.stale_customers(connection, partner_id) for partner_id in partner_ids])
    for partner_id in partner_ids:
        while count := await reevaluation.rejudge_some_stale(engine, policies, partner_id):
            judged += count
            await job.progress(judged, max(total, judged))
    return {"customers": judged}
