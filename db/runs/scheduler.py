"""Since when runs start by themselves (M2), and the look for what is due."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from db.core.settings import Settings
from db.core.unit_of_work import UnitOfWork
from db.runs import approved, planning, records
from db.runs.records import Asked


async def enabled_at(connection: asyncpg.Connection) -> datetime | None:
    """The first start of the scheduler; None before it."""
    at: datetime | None = await connection.fetchval("SELECT enabled_at FROM billing_scheduler")
    return at


async def last_look(connection: asyncpg.Connection) -> datetime | None:
    """When it was last looked for what is due; None if never."""
    at: datetime | None = await connection.fetchval("SELECT looked_at FROM billing_scheduler")
    return at


async def start_if_due(uow: UnitOfWork, settings: Settings, now: datetime) -> bool:
    """Start a run if something is due whose grace is over, and none is under way; remembers the first look for ever."""
    if not settings.billing_scheduler_enabled:
        return False
    connection = uow.connection
    # Of two looks at the same time the second one waits here, and then sees the run of the first.
    await connection.execute(
        """
        INSERT INTO billing_scheduler (enabled_at, looked_at) VALUES ($1, $1)
        ON CONFLICT (only_one) DO UPDATE SET looked_at = excluded.looked_at
        """,
        now,
    )
    if await _is_running(connection):
        return False
    found = await due_now(connection, settings, now)
    if found:
        await records.start(uow, Asked("schedule"))
    return bool(found)


async def due_now(connection: asyncpg.Connection, settings: Settings, now: datetime) -> list[planning.Due]:
    """What the scheduler bills now: what has ended and is over its grace, unless people see to it.

    And what it issues: bills that were approved since, where the terms say so.
    """
    ended_by = now - timedelta(seconds=settings.billing_grace_s)
    found = await planning.due(connection, ended_by, enabled_at=await enabled_at(connection))
    without_bill = await planning.left_to_scheduler(connection, found)
    return planning.together(without_bill, await approved.untried(connection, await approved.to_issue(connection, now)))


async def left_to_people(
    connection: asyncpg.Connection, partner_ids: Sequence[UUID], now: datetime
) -> dict[UUID, list[int]]:
    """Of partners the periods without a bill that had ended when the scheduler was enabled: people bill them (M2)."""
    since = await enabled_at(connection)
    found: dict[UUID, list[int]] = {}
    if since is not None and partner_ids:
        for each in await planning.due(connection, now, enabled_at=since, partner_ids=partner_ids):
            if each.is_old:
                found.setdefault(each.partner_id, []).append(each.period)
    return found


async def _is_running(connection: asyncpg.Connection) -> bool:
    running: bool = await connection.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM tasks JOIN billing_runs ON billing_runs.id::text = dedup_key
            WHERE kind = $1 AND finished_at IS NULL AND trigger = 'schedule'
        )
        """,
        records.KIND,
    )
    return running
