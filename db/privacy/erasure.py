"""Erasing a person everywhere: first from the master data, then from what callers sent and from report files.

It remembers who it was until the end, so it can be killed anywhere and called again, also several times at once.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from db.core import locks
from db.core.engine import transaction
from db.core.settings import Settings
from db.privacy import erased_files, erased_names, erased_payloads
from db.privacy.erased_names import Erased
from db.tasks.records import Progress


@dataclass(frozen=True, slots=True)
class Request:
    """Whom a task erases. `asked_as` is the id by which the caller named the person, unless the task cleared it."""

    task_id: UUID
    customer_id: UUID
    asked_as: str | None


async def erase_person(engine: AsyncEngine, settings: Settings, request: Request, progress: Progress) -> dict[str, int]:
    """Erase the person in transactions of its own; returns how many rows and files held the identity."""
    erased = await erase_names(engine, request.customer_id, request.asked_as)
    async with transaction(engine) as connection:
        # Waits until reports that are being written with the name are finished, so that they are rewritten too.
        await locks.lock_names_exclusive(connection)
    rows = await erase_payloads(engine, erased)
    files = await _erase_files(engine, settings, request.customer_id, erased, progress)
    async with transaction(engine) as connection:
        await erased_names.clear_memory(connection, request.customer_id, erased, request.task_id)
    return {"rows": rows, "files": files}


async def erase_names(engine: AsyncEngine, customer_id: UUID, asked_as: str | None) -> Erased:
    """Erase a person from the master data, and remember who it was, in one transaction."""
    async with transaction(engine) as connection:
        return await erased_names.erase_names(connection, customer_id, asked_as)


async def erase_payloads(engine: AsyncEngine, erased: Erased) -> int:
    """Erase a person from what callers sent; returns how many rows held the identity.

    It goes on until a pass changes nothing, because a lead may have moved from one table to another in the meantime.
    """
    rows = 0
    while changed := await _pass_over_payloads(engine, erased):
        rows += changed
    return rows


async def _pass_over_payloads(engine: AsyncEngine, erased: Erased) -> int:
    changed = 0
    for table in erased_payloads.TABLES:
        async with transaction(engine, readonly=True) as connection:
            last = await erased_payloads.last_id(connection, table)
        for after in range(0, last, erased_payloads.IDS_PER_TRANSACTION):
            async with transaction(engine) as connection:
                changed += await erased_payloads.erase(connection, table, after, erased)
    return changed


async def _erase_files(
    engine: AsyncEngine, settings: Settings, customer_id: UUID, erased: Erased, progress: Progress
) -> int:
    async with transaction(engine, readonly=True) as connection:
        reports = await erased_files.reports_that_may_show(connection, customer_id)
        actions = await erased_files.action_ids(connection, customer_id)
    count = 0
    for done, report in enumerate(reports):
        await progress(done, len(reports))
        async with transaction(engine) as connection:
            count += await erased_files.erase(
                connection, settings, report, customer_id, actions, erased.identity.emails
            )
    await progress(len(reports), len(reports))
    return count
