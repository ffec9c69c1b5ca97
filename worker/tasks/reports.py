"""Snapshots: a new version of every report that changed since its last one; what it replaces goes."""

from typing import Any
from uuid import UUID

import structlog
from celery import shared_task

from db.core.engine import transaction
from db.core.errors import FileUnavailable
from db.ledger import report_changes
from db.reports import file_removals, snapshots
from db.tasks.notifications import SNAPSHOT_REPORTS
from worker import process
from worker.runtime import Runtime

log = structlog.get_logger()


@shared_task(name=SNAPSHOT_REPORTS)
def snapshot_reports() -> None:
    """Write what changed; an unchanged report gets no version."""
    process.run(snapshot_changed)


async def snapshot_changed(runtime: Runtime) -> None:
    """Write the versions, drop those that they replace, and remove files that are due."""
    changed = written = dropped = failed = 0
    last = None
    while True:
        async with transaction(runtime.engine, readonly=True) as connection:
            page = await report_changes.page(connection, after=last)
        if not page:
            break
        for change in page:
            result = await written_version(runtime, change.partner_id, change.period)
            written += result["report_version"] is not None
            failed += "files_error" in result
            dropped += await snapshots.drop_replaced(runtime.engine, change.partner_id, change.period)
            if "files_error" not in result:  # else the next snapshots try again
                async with transaction(runtime.engine) as connection:
                    await report_changes.clear(connection, change)
        changed, last = changed + len(page), page[-1]
    async with transaction(runtime.engine) as connection:
        await report_changes.sum_currency_totals(connection)
    files = await file_removals.remove_due(runtime.engine, runtime.settings)
    log.info("reports_snapshot", changed=changed, written=written, failed=failed, dropped=dropped, files_removed=files)


async def written_version(runtime: Runtime, partner_id: UUID, period: int) -> dict[str, Any]:
    """The version that was written of a report, as a task's result tells it.

    What the task was for is done by then, whatever the folder of files does: if it cannot be written, the result says
    so in `files_error`, and the next snapshots try again.
    """
    try:
        return {"report_version": await snapshots.snapshot(runtime.engine, runtime.settings, partner_id, period)}
    except FileUnavailable as error:
        log.warning("files_unavailable", error=str(error))
        return {"report_version": None, "files_error": str(error)}
