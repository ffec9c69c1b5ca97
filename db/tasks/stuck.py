"""Parts of batches that have waited for long, and what keeps each from being decided."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.errors import RuleViolation
from db.core import locks
from db.core.unit_of_work import UnitOfWork
from db.tasks import pauses
from db.tasks.notifications import PROCESS_LEADS
from db.telemetry import backends
from db.telemetry.backends import Backend


@dataclass(frozen=True, slots=True)
class StuckPart:
    """One row of the inbox that waits, and why as far as Postgres can tell."""

    id: int
    batch_id: UUID
    part: int
    leads: int
    request_id: str
    received_at: datetime
    waited_s: float
    why: str


async def page(connection: asyncpg.Connection, *, older_than_s: float, after: int, limit: int) -> list[StuckPart]:
    """The parts that have waited for longer, oldest first.

    A worker that decides a row has locked it, and so its transaction's number is in the row (xmax); reading that needs
    no lock. A row that no worker has waits for the batch that is at work in its partition (column `lane`).
    """
    rows = await connection.fetch(
        """
        SELECT id, batch_id, part, lead_count AS leads, request_id, received_at,
               extract(epoch FROM clock_timestamp() - received_at)::float8 AS waited_s,
               working.pid AS working, ahead.pid AS ahead
        FROM (SELECT *, xmax FROM inbox WHERE done_at IS NULL ORDER BY lane, id OFFSET 0) AS inbox
        LEFT JOIN pg_locks AS working ON working.locktype = 'transactionid' AND working.transactionid = inbox.xmax
            AND working.mode = 'ExclusiveLock' AND working.granted
        LEFT JOIN pg_locks AS ahead ON ahead.locktype = 'advisory' AND ahead.granted
            AND ahead.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND ahead.classid = $4 AND ahead.objid = lane::oid AND ahead.objsubid = 1
        WHERE received_at < clock_timestamp() - make_interval(secs => $1) AND id > $2
        ORDER BY id LIMIT $3
        """,
        older_than_s,
        after,
        limit,
        locks.PARTITION_LOCKS >> 32,
    )
    pids = {pid for row in rows for pid in (row["working"], row["ahead"]) if pid}
    sessions = await backends.with_blockers(connection, pids)
    why_free = await _why_free(connection)
    found = []
    for row in rows:
        known = dict(row)
        working, ahead = sessions.get(known.pop("working")), sessions.get(known.pop("ahead"))
        found.append(StuckPart(why=_why(working, ahead, sessions) or why_free, **known))
    return found


async def retry(uow: UnitOfWork, older_than_s: float) -> int:
    """Notify the workers of what waits; returns how many parts have waited for longer.

    RuleViolation while the workers are paused.
    """
    if pause := await pauses.current(uow.connection):
        raise RuleViolation(f"{pause.message()}. Resume them first.")
    uow.notify(PROCESS_LEADS)
    return await count(uow.connection, older_than_s)


async def count(connection: asyncpg.Connection, older_than_s: float) -> int:
    """How many parts have waited for longer."""
    number: int = await connection.fetchval(
        """
        SELECT count(*) FROM inbox
        WHERE done_at IS NULL AND received_at < clock_timestamp() - make_interval(secs => $1)
        """,
        older_than_s,
    )
    return number


def _why(working: Backend | None, ahead: Backend | None, sessions: dict[int, Backend]) -> str:
    """Which session works on a row, or on rows before it, and which ones it waits for; empty if none does."""
    worker = working or ahead
    if worker is None:
        return ""
    activity = (
        f"{worker.description()} works on it" if working else f"It comes after what {worker.description()} works on"
    )
    blockers = " and ".join(sessions[pid].description() for pid in worker.blocked_by if pid in sessions)
    return f"{activity}, and waits for a lock of {blockers}." if blockers else f"{activity}."


async def _why_free(connection: asyncpg.Connection) -> str:
    """Why no worker has taken a row that is free."""
    pause = await pauses.current(connection)
    if pause:
        return f"{pause.message()}."
    if not await backends.workers_are_connected(connection):
        return "No worker is connected to Postgres."
    return "Nobody has it, although workers are connected: no message came for it, or its batch fails each time."
