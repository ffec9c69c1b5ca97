"""Backends of Postgres: what each is doing, and which others block it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import asyncpg


@dataclass(frozen=True, slots=True)
class Backend:
    """A session of the database; a login without rights over it sees an empty state."""

    pid: int
    application: str
    state: str
    transaction_s: float
    blocked_by: Sequence[int]

    def description(self) -> str:
        """For a person: "Backend 123 (psql, idle in transaction, for 45 s)"."""
        parts = [self.application, self.state, f"for {self.transaction_s:.0f} s"]
        return f"Backend {self.pid} ({', '.join(filter(None, parts))})"


async def with_blockers(connection: asyncpg.Connection, pids: Iterable[int]) -> dict[int, Backend]:
    """These backends, those that block them, those that block these, and so on, by pid."""
    found: dict[int, Backend] = {}
    wanted = set(pids)
    while wanted:
        rows = await connection.fetch(
            """
            SELECT pid, coalesce(application_name, '') AS application, coalesce(state, '') AS state,
                   coalesce(extract(epoch FROM clock_timestamp() - xact_start), 0)::float8 AS transaction_s,
                   pg_blocking_pids(pid) AS blocked_by
            FROM pg_stat_activity WHERE pid = ANY($1::int[])
            """,
            list(wanted),
        )
        found |= {row["pid"]: Backend(**row) for row in rows}
        wanted = {pid for row in rows for pid in row["blocked_by"]} - found.keys() - wanted
    return found


async def workers_are_connected(connection: asyncpg.Connection) -> bool:
    """Whether a worker has a session; it opens one when it receives its first message."""
    connected: bool = await connection.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM pg_stat_activity WHERE application_name = 'leadger-worker' AND datname = current_database()
        )
        """
    )
    return connected
