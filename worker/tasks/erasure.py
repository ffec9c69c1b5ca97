"""Erasing a person everywhere: first from the master data, then from what callers sent and from report files.

The background task remembers who it was until the end, so that it can be killed anywhere and taken up again.
"""

from typing import Any
from uuid import UUID

import msgspec

from db.core import locks
from db.core.engine import transaction
from db.privacy import erased_files, erased_payloads, erasure
from db.privacy.erasure import Erased
from db.tasks import records
from db.tasks.records import Progress
from worker.runtime import Runtime


async def erase(at: Runtime, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Erase the person; says how many rows and files held the identity."""
    customer_id = UUID(arguments["customer_id"])
    erased = await _names(at, customer_id, arguments)
    async with transaction(at.engine) as connection:
        # Waits until reports that are being written with the name are finished, so that they are rewritten too.
        await locks.lock_names_exclusive(connection)
    rows = 0
    while changed := await _payloads(at, erased):  # until nothing changes: a lead may have moved between the tables
        rows += changed
    files = await _files(at, customer_id, erased, progress)
    async with transaction(at.engine) as connection:
        await erasure.clear_remembered_identity(connection, customer_id)
    return {"rows": rows, "files": files}


async def _names(at: Runtime, customer_id: UUID, arguments: dict[str, Any]) -> Erased:
    """Erase the names, once, and remember them in the same transaction."""
    if arguments.get("erased"):
        return msgspec.convert(arguments["erased"], Erased)
    async with transaction(at.engine) as connection:
        erased = await erasure.erase_names(connection, customer_id, arguments["asked_as"])
        await records.add_arguments(connection, UUID(arguments["task_id"]), {"erased": msgspec.to_builtins(erased)})
    return erased


async def _payloads(at: Runtime, erased: Erased) -> int:
    changed = 0
    for table in erased_payloads.TABLES:
        async with transaction(at.engine, readonly=True) as connection:
            last = await erased_payloads.last_id(connection, table)
        for after in range(0, last, erased_payloads.IDS_PER_TRANSACTION):
            async with transaction(at.engine) as connection:
                changed += await erased_payloads.erase(connection, table, after, erased)
    return changed


async def _files(at: Runtime, customer_id: UUID, erased: Erased, progress: Progress) -> int:
    async with transaction(at.engine, readonly=True) as connection:
        reports = await erased_files.reports_that_may_show(connection, customer_id)
        actions = await erased_files.action_ids(connection, customer_id)
    count = 0
    for done, report in enumerate(reports):
        await progress(done, len(reports))
        async with transaction(at.engine) as connection:
            count += await erased_files.erase(
                connection, at.settings, report, customer_id, actions, erased.identity.emails
            )
    await progress(len(reports), len(reports))
    return count
