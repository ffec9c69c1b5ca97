"""Whether the parts are there: what acceptance needs, and what only slows things down."""

from functools import cache

import asyncpg
import redis
from alembic.script import ScriptDirectory

from db.migrate import alembic_config
from db.settings import Settings

_WAITING_TOO_LONG_S = 60.0
_PATIENCE_S = 1.0


async def missing_migrations(connection: asyncpg.Connection) -> str | None:
    """A sentence if the schema is not the newest one."""
    head = _newest()
    exists = await connection.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL")
    current = await connection.fetchval("SELECT version_num FROM alembic_version") if exists else None
    return None if current == head else f"it is at {current}, {head} is needed"


@cache
def _newest() -> str | None:
    return ScriptDirectory.from_config(alembic_config("")).get_current_head()


async def oldest_waiting_s(connection: asyncpg.Connection) -> float:
    """Seconds that the oldest waiting lead has waited."""
    age: float = await connection.fetchval(
        """
        SELECT greatest(coalesce(extract(epoch FROM clock_timestamp() - min(received_at)), 0), 0)::float8
        FROM inbox WHERE done_at IS NULL
        """
    )
    return age


def degraded(settings: Settings, waiting_s: float) -> list[str]:
    """What does not work although leads are accepted; blocks for up to a second."""
    faults = []
    try:
        client = redis.Redis.from_url(
            settings.redis_url, socket_timeout=_PATIENCE_S, socket_connect_timeout=_PATIENCE_S
        )
        client.ping()
        client.close()
    except redis.RedisError:
        faults.append("redis: cannot be reached")
    if waiting_s > _WAITING_TOO_LONG_S:
        faults.append(f"worker: leads have waited for {waiting_s:.0f} s")
    return faults
