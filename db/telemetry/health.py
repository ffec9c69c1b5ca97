"""Whether the servers work: what acceptance needs, and what only delays billing."""

from datetime import datetime
from functools import cache

import asyncpg
import redis
from alembic.script import ScriptDirectory

from db.core.migrate import alembic_config
from db.core.settings import Settings

_WAITING_TOO_LONG_S = 60.0
_REDIS_TIMEOUT_S = 1.0


async def missing_migrations(connection: asyncpg.Connection) -> str | None:
    """A message if the schema is older than this code.

    A revision that this code does not know comes from a later release. Its schema works with this code too, so the old
    processes of an upgrade stay ready until the new ones are.
    """
    head, *older = _revisions()
    exists = await connection.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL")
    current = await connection.fetchval("SELECT version_num FROM alembic_version") if exists else None
    return f"it is at {current}, {head} is needed" if current is None or current in older else None


async def server_size(connection: asyncpg.Connection) -> str:
    """What decides how fast the server writes: "shared_buffers 2GB, max_wal_size 16GB"."""
    names = ("shared_buffers", "max_wal_size")
    rows = await connection.fetch("SELECT name, current_setting(name) AS value FROM unnest($1::text[]) AS name", names)
    return ", ".join(f"{row['name']} {row['value']}" for row in rows)


async def clock(connection: asyncpg.Connection) -> datetime:
    """What time it is on the server of the database."""
    now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return now


@cache
def _revisions() -> list[str]:
    """The revisions that this code knows, newest first."""
    return [script.revision for script in ScriptDirectory.from_config(alembic_config("")).walk_revisions()]


def degraded(settings: Settings, waiting_s: float) -> list[str]:
    """What does not work although leads are accepted, as messages; blocks for up to a second."""
    faults = []
    try:
        client = redis.Redis.from_url(
            settings.redis_url, socket_timeout=_REDIS_TIMEOUT_S, socket_connect_timeout=_REDIS_TIMEOUT_S
        )
        client.ping()
        client.close()
    except redis.RedisError:
        faults.append("redis: cannot be reached")
    if waiting_s > _WAITING_TOO_LONG_S:
        faults.append(f"worker: leads have waited for {waiting_s:.0f} s")
    return faults
