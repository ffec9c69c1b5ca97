"""Conservation (R9), checked on a schedule; a violation is logged with partner, period and difference, and counted."""

import structlog
from celery import shared_task

from db.core.engine import transaction
from db.ledger import invariants
from db.tasks.notifications import CHECK_INVARIANTS
from db.telemetry import counters
from worker import process
from worker.runtime import Runtime

log = structlog.get_logger()


@shared_task(name=CHECK_INVARIANTS)
def check_invariants() -> int:
    """Compare the counters of every report with its verdicts, or with its final version; returns how many differ."""
    return process.run(_check)


async def _check(runtime: Runtime) -> int:
    async with transaction(runtime.engine, readonly=True) as connection:
        reports = await invariants.open_reports(connection)
        found = await invariants.frozen_violations(connection)
    for partner_id, period in reports:
        async with transaction(runtime.engine, readonly=True) as connection:
            found += await invariants.violations(connection, partner_id, period)
    for violation in found:
        log.error("invariant_violated", **violation)
    async with transaction(runtime.engine) as connection:
        await counters.put(connection, "invariant_violations", len(found))
    log.info("invariants_checked", reports=len(reports), violations=len(found))
    return len(found)
