"""Proofs of bills and accounts (B10, B11), some at a time; a difference is logged and counted."""

import time

import structlog
from celery import shared_task

from db.bills import proofs
from db.bills.proofs import Due
from db.core.engine import transaction
from db.core.errors import is_fault_of_data
from db.tasks.notifications import PROVE_BILLS
from worker import process
from worker.runtime import Runtime

log = structlog.get_logger()

MOST_S = 20.0
"""After so long a run begins no further proof, and leaves the worker to others until the next one."""


@shared_task(name=PROVE_BILLS)
def prove_bills() -> int:
    """Prove what is due; returns how many proofs were made."""
    return process.run(prove_due)


async def prove_due(runtime: Runtime) -> int:
    """Prove what never was and then what was longest ago, for some seconds at the most."""
    ends_at, proven, differ = time.monotonic() + MOST_S, 0, 0
    async with transaction(runtime.engine) as connection:
        await proofs.expect_accounts(connection)
    while time.monotonic() < ends_at:
        async with transaction(runtime.engine) as connection:
            due = await proofs.begin(connection)
        if due is None:
            break
        found = await _difference(runtime, due)
        async with transaction(runtime.engine) as connection:
            await proofs.end(connection, due, found)
        proven, differ = proven + 1, differ + (found is not None)
    log.info("bills_proven", proven=proven, differ=differ)
    return proven


async def _difference(runtime: Runtime, due: Due) -> str | None:
    try:
        async with transaction(runtime.engine, readonly=True) as connection:
            found = await proofs.difference(connection, runtime.policies, due)
    except Exception as error:
        if not is_fault_of_data(error):
            raise
        log.exception("proof_failed", kind=due.kind.value, subject_id=str(due.subject_id))
        return f"it cannot be proven: {error!r}"
    if found:
        log.error("proof_differs", kind=due.kind.value, subject_id=str(due.subject_id), difference=found)
    return found
