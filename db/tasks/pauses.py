"""Pauses of the workers: while one is in force no lead is decided; leads are accepted as before.

A row in Postgres, so that it outlives every process and whatever happens to Redis.
"""

from dataclasses import dataclass
from datetime import datetime

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction
from db.core.unit_of_work import UnitOfWork
from db.tasks.notifications import PROCESS_LEADS


@dataclass(frozen=True, slots=True)
class Pause:
    """Who paused the workers, when and why."""

    paused_at: datetime
    paused_by: str
    reason: str

    def message(self) -> str:
        """For a person: "The workers have been paused since 2024-04-01 10:00:00 UTC by ops: new rates"."""
        since = f"{self.paused_at:%Y-%m-%d %H:%M:%S} UTC"
        return f"The workers have been paused since {since} by {self.paused_by}: {self.reason}"


class Paused(Exception):
    """The workers are paused, and the work asked for would decide leads; the message says who paused them and why."""


async def current(connection: asyncpg.Connection) -> Pause | None:
    """The pause that is in force, if there is one."""
    row = await connection.fetchrow("SELECT paused_at, paused_by, reason FROM pauses WHERE resumed_at IS NULL")
    return Pause(**row) if row else None


async def begin(uow: UnitOfWork, reason: str) -> bool:
    """Pause the workers; false if they are paused already, and then that pause stays as it is."""
    status = await uow.connection.execute(
        "INSERT INTO pauses (paused_by, reason) VALUES ($1, $2) ON CONFLICT (resumed_at) DO NOTHING",
        uow.actor.name,
        reason,
    )
    if status != "INSERT 0 1":
        return False
    await uow.audit("workers.paused", "workers", after={"reason": reason})
    return True


async def end(uow: UnitOfWork) -> bool:
    """Resume the workers, which hear of it after the commit; false if they were not paused."""
    status = await uow.connection.execute(
        "UPDATE pauses SET resumed_at = clock_timestamp(), resumed_by = $1 WHERE resumed_at IS NULL", uow.actor.name
    )
    if status != "UPDATE 1":
        return False
    await uow.audit("workers.resumed", "workers")
    uow.notify(PROCESS_LEADS)
    return True


async def refuse_if_paused(engine: AsyncEngine) -> None:
    """In a transaction of its own, raise Paused if no lead may be decided now; a batch that has begun may end."""
    async with transaction(engine, readonly=True) as connection:
        pause = await current(connection)
    if pause:
        raise Paused(pause.message())
