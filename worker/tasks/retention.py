"""Retention, on a schedule: what callers sent is forgotten some time after it was decided."""

from collections.abc import Awaitable, Callable

import asyncpg
import structlog
from celery import shared_task

from db.core.engine import transaction
from db.intake import retention
from worker import runtime
from worker.runtime import Runtime

log = structlog.get_logger()

_AT_ONCE = 1_000

Forget = Callable[[asyncpg.Connection, int, int], Awaitable[int]]


@shared_task(name="retention.forget")
def apply_retention() -> None:
    """Empty old requests and delete what left the quarantine or the dead letters long ago."""
    runtime.run(_forget)


async def _forget(at: Runtime) -> None:
    forgotten = {
        "requests": await _forget_all(at, retention.empty_inbox),
        "quarantined": await _forget_all(at, _deleting("quarantine")),
        "dead_letters": await _forget_all(at, _deleting("dead_letters")),
    }
    log.info("settled_leads_forgotten", older_than_days=at.settings.inbox_retention_days, **forgotten)


def _deleting(table: str) -> Forget:
    return lambda connection, days, most: retention.delete_resolved(connection, table, days, most)


async def _forget_all(at: Runtime, forget: Forget) -> int:
    """A small transaction at a time, so that nobody waits for it."""
    total = 0
    while True:
        async with transaction(at.engine) as connection:
            count = await forget(connection, at.settings.inbox_retention_days, _AT_ONCE)
        total += count
        if count < _AT_ONCE:
            return total
