"""Closing a period (R11): waiting for the leads accepted before, freezing the verdicts, writing the final report."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from db.intake.closing_request import decide_accepted_before
from db.ledger import closing
from db.reports import snapshots
from db.tasks import records
from worker.runner import Attempt
from worker.tasks.reevaluation import rejudge_stale


async def close(attempt: Attempt) -> dict[str, Any]:
    """Close a period of a partner, once what was accepted before is decided."""
    partner_id, period = UUID(attempt.task.arguments["partner_id"]), attempt.task.arguments["period"]
    runtime, newest_waiting = attempt.runtime, attempt.task.arguments["newest_waiting"]
    most_leads = runtime.settings.task_max_leads
    await decide_accepted_before(runtime.engine, runtime.policies, newest_waiting, most_leads, attempt.progress)
    while not await _freeze(attempt, partner_id, period):
        await rejudge_stale(attempt, [partner_id])
    version = await snapshots.snapshot(runtime.engine, runtime.settings, partner_id, period)
    return {"closed": True, "report_version": version}


async def _freeze(attempt: Attempt, partner_id: UUID, period: int) -> bool:
    """Freeze the period, once: a task killed after that must not close again what somebody has reopened since."""
    if attempt.task.arguments.get("frozen"):
        return True
    async with attempt.runtime.unit_of_work(attempt.task.request_id) as uow:
        frozen = await closing.close(uow, attempt.runtime.policies, partner_id, period, datetime.now(UTC))
        if frozen:
            await records.add_arguments(uow.connection, attempt.task.id, {"frozen": True})
        return frozen
