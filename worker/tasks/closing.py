"""Closing a period (R11): waiting for the leads accepted before, freezing the verdicts, writing the final report."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from db.core.engine import transaction
from db.intake import inbox, worker_batch
from db.ledger import closing
from db.reports import snapshots
from db.tasks import pauses, records
from worker.runner import Job
from worker.tasks.reevaluation import rejudge_stale

_POLL_INTERVAL_S = 0.1


async def close(job: Job) -> dict[str, Any]:
    """Close a period of a partner, once what was accepted before is decided."""
    partner_id, period = UUID(job.task.arguments["partner_id"]), job.task.arguments["period"]
    await _decide_accepted(job, job.task.arguments["newest_waiting"])
    while not await _freeze(job, partner_id, period):
        await rejudge_stale(job, [partner_id])
    version = await snapshots.snapshot(job.runtime.engine, job.runtime.settings, partner_id, period)
    return {"closed": True, "report_version": version}


async def _decide_accepted(job: Job, newest_waiting: int) -> None:
    """Help to decide what waited in the inbox when closing was asked for; raises Paused while nobody may."""
    runtime = job.runtime
    total: int | None = None
    while True:
        async with transaction(runtime.engine, readonly=True) as connection:
            waiting = await inbox.waiting_up_to(connection, newest_waiting)
        total = waiting if total is None else total
        await job.progress(total - waiting, total)
        if not waiting:
            return
        await pauses.refuse_if_paused(runtime.engine)
        if not await worker_batch.process_inbox(runtime.engine, runtime.policies, runtime.settings.task_max_leads):
            await asyncio.sleep(_POLL_INTERVAL_S)


async def _freeze(job: Job, partner_id: UUID, period: int) -> bool:
    """Freeze the period, once: a task killed after that must not close again what somebody has reopened since."""
    if job.task.arguments.get("frozen"):
        return True
    try:
        async with job.runtime.unit_of_work(job.task.request_id) as uow:
            frozen = await closing.close(uow.connection, job.runtime.policies, partner_id, period, datetime.now(UTC))
            if frozen:
                await records.add_arguments(uow.connection, job.task.id, {"frozen": True})
            return frozen
    finally:
        job.runtime.policies.clear()
