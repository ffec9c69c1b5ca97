"""Snapshots: a new version of every report that changed since its last one."""

import structlog
from celery import shared_task

from db.core.engine import transaction
from db.reports import report_versions, snapshots
from worker import runtime
from worker.runtime import Runtime

log = structlog.get_logger()


@shared_task(name="reports.snapshot")
def snapshot_reports() -> None:
    """Write what changed; an unchanged report gets no version."""
    runtime.run(_snapshot)


async def _snapshot(at: Runtime) -> None:
    async with transaction(at.engine, readonly=True) as connection:
        changed = await report_versions.changed_since_written(connection)
    written = 0
    for partner_id, period in changed:
        if await snapshots.snapshot(at.engine, at.settings, partner_id, period):
            written += 1
    log.info("reports_snapshot", changed=len(changed), written=written)
