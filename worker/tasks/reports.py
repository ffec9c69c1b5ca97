"""Snapshots: a new version of every report that changed since its last one; what it replaces goes."""

import structlog
from celery import shared_task

from db.core.engine import transaction
from db.reports import file_removals, report_versions, snapshots
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
    async with transaction(runtime.engine, readonly=True) as connection:
        changed = await report_versions.changed_since_written(connection)
    written = dropped = 0
    for partner_id, period in changed:
        if await snapshots.snapshot(runtime.engine, runtime.settings, partner_id, period):
            written += 1
        dropped += await snapshots.drop_replaced(runtime.engine, partner_id, period)
    files = await file_removals.remove_due(runtime.engine, runtime.settings)
    log.info("reports_snapshot", changed=len(changed), written=written, dropped=dropped, files_removed=files)
