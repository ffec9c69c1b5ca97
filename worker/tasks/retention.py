"""Retention, on a schedule: what was decided, finished or sent is deleted some time later."""

from collections.abc import Awaitable, Callable
from functools import partial

import asyncpg
import structlog
from celery import shared_task

from db.access import sessions
from db.core.engine import transaction
from db.intake import retention
from db.mail import outgoing
from db.outgoing import deliveries
from db.tasks import records
from db.tasks.notifications import APPLY_RETENTION
from worker import process
from worker.runtime import Runtime

log = structlog.get_logger()

MOST_AT_ONCE = 1_000
_SESSION_DAYS = 180
"""For so long an account knows a browser."""

Delete = Callable[[asyncpg.Connection, int, int], Awaitable[int]]
"""Deletes what is older than so many days, at most so many rows; returns how many."""


@shared_task(name=APPLY_RETENTION)
def apply_retention() -> None:
    """Empty old requests, delete what left the quarantine or the dead letters long ago, old tasks and mails."""
    process.run(delete_old)


async def delete_old(runtime: Runtime) -> None:
    """Delete what the settings keep no longer."""
    days = runtime.settings.inbox_retention_days
    deleted = {
        "requests": await _delete_all(runtime, days, retention.empty_inbox),
        "quarantined": await _delete_all(runtime, days, partial(_delete_resolved, "quarantine")),
        "dead_letters": await _delete_all(runtime, days, partial(_delete_resolved, "dead_letters")),
    }
    log.info("decided_leads_deleted", older_than_days=days, **deleted)
    days = runtime.settings.task_retention_days
    tasks = await _delete_all(runtime, days, records.delete_finished)
    log.info("finished_tasks_deleted", older_than_days=days, tasks=tasks)
    mails = await _delete_all(runtime, days, outgoing.delete_old)
    log.info("mails_deleted", older_than_days=days, mails=mails)
    messages = await _delete_all(runtime, days, deliveries.delete_old)
    log.info("webhook_messages_deleted", older_than_days=days, messages=messages)
    count = await _delete_all(runtime, _SESSION_DAYS, sessions.delete_old)
    log.info("sessions_deleted", older_than_days=_SESSION_DAYS, sessions=count)


async def _delete_resolved(table: str, connection: asyncpg.Connection, days: int, most: int) -> int:
    return await retention.delete_resolved(connection, table, days, most)


async def _delete_all(runtime: Runtime, days: int, delete: Delete) -> int:
    """Delete in small transactions, so that nobody waits for one."""
    total = 0
    while True:
        async with transaction(runtime.engine) as connection:
            count = await delete(connection, days, MOST_AT_ONCE)
        total += count
        if count < MOST_AT_ONCE:
            return total
