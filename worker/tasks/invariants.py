"""Conservation (R9, B10), checked on a schedule; a violation is logged with place and difference, and counted."""

from dataclasses import replace
from typing import Any

import structlog
from celery import shared_task

from billing.periods import text_from_period
from db.bills import conservation
from db.core.engine import transaction
from db.ledger import invariants
from db.ledger.invariants import Position, Violation
from db.tasks.notifications import CHECK_INVARIANTS
from db.telemetry import counters
from worker import process
from worker.runtime import Runtime

log = structlog.get_logger()

VIOLATIONS = "invariant_violations"


@shared_task(name=CHECK_INVARIANTS)
def check_invariants() -> int:
    """Compare counters of reports with their verdicts, or final version and bill; returns how many differ."""
    return process.run(check_some)


async def check_some(runtime: Runtime) -> int:
    """Check some reports, from where the last run ended; returns how many violations this round has found so far."""
    async with transaction(runtime.engine, readonly=True) as connection:
        began = await invariants.read_position(connection)
        reports, position = await invariants.next_reports(connection, began)
    found: list[dict[str, Any]] = []
    for report in reports:
        partner_id, period = report.partner_id, report.period
        check = invariants.violations if report.is_open else invariants.frozen_violations
        async with transaction(runtime.engine, readonly=True) as connection:
            found += map(_fields, await check(connection, partner_id, period))
            if difference := await conservation.difference_of_period(connection, partner_id, period):
                place = {"partner_id": str(partner_id), "period": text_from_period(period)}
                found.append({**place, "difference": difference})
    for violation in found:
        log.error("invariant_violated", **violation)
    violations = began.found + len(found)
    async with transaction(runtime.engine) as connection:
        round_ends = position == Position()
        await invariants.write_position(connection, position if round_ends else replace(position, found=violations))
        known = 0 if round_ends else await counters.one(connection, VIOLATIONS)
        await counters.put(connection, VIOLATIONS, max(known, violations))
    log.info("invariants_checked", reports=len(reports), violations=violations)
    return violations


def _fields(violation: Violation) -> dict[str, Any]:
    """A violation as the fields of its log line."""
    places = ("customer_id", "product_id", "table")
    return {
        "partner": violation.partner,
        "partner_id": str(violation.partner_id),
        "period": text_from_period(violation.period),
        **{name: str(value) for name in places if (value := getattr(violation, name)) is not None},
        "difference": violation.difference,
    }
