"""Parts of batches that wait for long, and what keeps each from being decided."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from db.core import locks
from db.tasks import pauses
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
    """What has waited for longer, oldest first.

    Whoever works on a row has it locked and so wrote the number of its transaction into it; reading needs no lock. Rows
    that nobody works on wait for whoever is at work in their lane.
    """
    rows = await connection.fetch(
        """
        SELECT id, batch_id, part, lead_count AS leads, request_id, received_at,
               extract(epoch FROM clock_timestamp() - received_at)::float8 AS waited_s,
               at_it.pid AS at_it, ahead.pid AS ahead
        FROM (SELECT *, xmax FROM inbox WHERE done_at IS NULL ORDER BY lane, id OFFSET 0) AS inbox
        LEFT JOIN pg_locks AS at_it ON at_it.locktype = 'transactionid' AND at_it.transactionid = inbox.xmax
            AND at_it.mode = 'ExclusiveLock' AND at_it.granted
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
    pids = {pid for row in rows for pid in (row["at_it"], row["ahead"]) if pid}
    sessions = await backends.with_blockers(connection, pids)
    free = await _why_nobody_has_it(connection)
    found = []
    for row in rows:
        known = dict(row)
        at_it, ahead = sessions.get(known.pop("at_it")), sessions.get(known.pop("ahead"))
        found.append(StuckPart(why=_why(at_it, ahead, sessions) or free, **known))
    return found


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


def _why(at_it: Backend | None, ahead: Backend | None, sessions: dict[int, Backend]) -> str:
    """Who works on a row, or on others that come before it, and whom they wait for; empty if nobody does."""
    worker = at_it or ahead
    if worker is None:
        return ""
    told = f"{worker.description()} works on it" if at_it else f"It comes after what {worker.description()} works on"
    blockers = " and ".join(sessions[pid].description() for pid in worker.blocked_by if pid in sessions)
    return f"{told}, and waits for a lock of {blockers}." if blockers else f"{told}."


async def _why_nobody_has_it(connection: asyncpg.Connection) -> str:
    """Why a row that is free is not taken."""
    pause = await pauses.current(connection)
    if pause:
        return f"{pause.message()}."
    if not await backends.workers_are_connected(connection):
        return "No worker is connected to Postgres."
    return "Nobody has it, although workers are connected: nobody rang for it, or its batch fails each time."
