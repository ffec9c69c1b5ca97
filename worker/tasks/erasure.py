"""Erasing a person everywhere: first from the master data, then from what callers sent and from report files.

The background task keeps who it was until the end, so that it can be killed anywhere and started again.
"""

from typing import Any
from uuid import UUID

import msgspec

from db.core import locks
from db.core.engine import transaction
from db.privacy import erased_files, erased_payloads, erasure
from db.privacy.erasure import Erased
from db.tasks import records
from worker.runner import Attempt
from worker.runtime import Runtime


async def erase(attempt: Attempt) -> dict[str, Any]:
    """Erase the person; the result says how many rows and files held the identity."""
    runtime, customer_id = attempt.runtime, UUID(attempt.task.arguments["customer_id"])
    erased = await _erase_names(attempt, customer_id)
    async with transaction(runtime.engine) as connection:
        # Waits until reports that are being written with the name are finished, so that they are rewritten too.
        await locks.lock_names_exclusive(connection)
    rows = 0
    # Until nothing changes, because a lead may have moved from one table to another in the meantime.
    while changed := await _erase_payloads(runtime, erased):
        rows += changed
    files = await _erase_files(attempt, customer_id, erased)
    async with transaction(runtime.engine) as connection:
        await erasure.clear_remembered_identity(connection, customer_id)
    return {"rows": rows, "files": files}


async def _erase_names(attempt: Attempt, customer_id: UUID) -> Erased:
    """Erase the names, once, and keep them in the task, in the same transaction."""
    arguments = attempt.task.arguments
    if arguments.get("erased"):
        return msgspec.convert(arguments["erased"], Erased)
    async with attempt.runtime.unit_of_work(attempt.task.request_id) as uow:
        erased = await erasure.erase_names(uow.connection, customer_id, arguments["asked_as"])
        await records.add_arguments(uow.connection, attempt.task.id, {"erased": msgspec.to_builtins(erased)})
    return erased


async def _erase_payloads(runtime: Runtime, erased: Erased) -> int:
    changed = 0
    for table in erased_payloads.TABLES:
        async with transaction(runtime.engine, readonly=True) as connection:
            last = await erased_payloads.last_id(connection, table)
        for after in range(0, last, erased_payloads.IDS_PER_TRANSACTION):
            async with transaction(runtime.engine) as connection:
                changed += await erased_payloads.erase(connection, table, after, erased)
    return changed


async def _erase_files(attempt: Attempt, customer_id: UUID, erased: Erased) -> int:
    async with transaction(attempt.runtime.engine, readonly=True) as connection:
        reports = await erased_files.reports_that_may_show(connection, customer_id)
        actions = await erased_files.action_ids(connection, customer_id)
    count = 0
    for done, report in enumerate(reports):
        await attempt.progress(done, len(reports))
        async with transaction(attempt.runtime.engine) as connection:
            count += await erased_files.erase(
                connection, attempt.runtime.settings, report, customer_id, actions, erased.identity.emails
            )
    await attempt.progress(len(reports), len(reports))
    return count
