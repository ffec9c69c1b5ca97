"""Tasks of which somebody has only some at a time, so that nobody else's wait for more of them."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from billing.errors import TooManyWaiting
from db.core import locks
from db.core.unit_of_work import UnitOfWork
from db.tasks import records

MOST = 5
"""So many tasks of a kind wait or run at a time for one caller."""


async def start(
    uow: UnitOfWork, kind: str, called: str, arguments: Mapping[str, Any], *, dedup_key: str | None = None
) -> UUID:
    """Start a task as `records.start` does; TooManyWaiting if MOST of the caller's have not ended.

    `called` is what a person calls several of them.
    """
    await locks.lock_waiting(uow.connection, uow.actor.id)
    task_id = await records.start(uow, kind, arguments, dedup_key=dedup_key)
    waiting = await uow.connection.fetchval(
        """
        SELECT count(*) FROM tasks
        WHERE finished_at IS NULL AND kind = $1 AND requested_by_id IS NOT DISTINCT FROM $2
        """,
        kind,
        uow.actor.id,
    )
    if waiting > MOST:
        raise TooManyWaiting(f"{MOST} {called} of yours have not ended; ask for this one after them.")
    return task_id
