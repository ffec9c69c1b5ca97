"""Whether the servers work: what acceptance needs, and what only delays billing."""

import asyncio
from datetime import datetime
from functools import cache

import asyncpg
import redis
import redis.asyncio
from alembic.script import ScriptDirectory

from db.core.migrate import alembic_config
from db.core.settings import Settings

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


async def refuse_read_only(connection: asyncpg.Connection) -> None:
    """Raise ReadOnlySQLTransactionError if new connections to this server could not write, or this one could not."""
    if await connection.fetchval(
        "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool"
    ):
        raise asyncpg.ReadOnlySQLTransactionError("the server takes no writes")


async def queue_fault(settings: Settings) -> str:
    """Why no message can be sent, after a second at the most; empty if nothing is wrong."""
    client = redis.asyncio.Redis.from_url(
        settings.redis_url, socket_timeout=_REDIS_TIMEOUT_S, socket_connect_timeout=_REDIS_TIMEOUT_S
    )
    try:
        async with client, asyncio.timeout(_REDIS_TIMEOUT_S):
            await client.ping()
    except redis.ResponseError:  # its disk is full, or it is loading its data
        return "redis: takes no messages"
    except (redis.RedisError, TimeoutError):
        return "redis: cannot be reached"
    return ""
