"""What Postgres itself says about each statement: pg_stat_statements, switched on for one database."""

from dataclasses import dataclass

import asyncpg

from scripts.dev.bench.profiling.clock import label
from scripts.dev.bench.servers import Database, Servers


@dataclass(frozen=True)
class OnServer:
    """Time inside the server (planning and execution, not the flush of COMMIT), calls, rows and bytes of log."""

    calls: int
    server_s: float
    wal_bytes: int


def switch_on(servers: Servers, database: Database) -> None:
    """Have the statements of a database counted from its next connection on."""
    servers.execute(
        "CREATE EXTENSION IF NOT EXISTS pg_stat_statements",
        f"ALTER DATABASE {database.name} SET pg_stat_statements.track = 'top'",
        database_url=database.url,
    )


async def reset(connection: asyncpg.Connection) -> None:
    """Begin anew."""
    await connection.execute("SELECT pg_stat_statements_reset()")


async def read(connection: asyncpg.Connection) -> dict[str, OnServer]:
    """Everything since the last reset, by the beginning of the statement."""
    rows = await connection.fetch(
        """
        SELECT query, calls, (total_exec_time + total_plan_time) / 1000 AS server_s, wal_bytes::bigint
        FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
        """
    )
    found: dict[str, OnServer] = {}
    for row in rows:
        name = label(row["query"])
        known = found.get(name, OnServer(0, 0.0, 0))
        found[name] = OnServer(
            known.calls + row["calls"], known.server_s + row["server_s"], known.wal_bytes + row["wal_bytes"]
        )
    return found
