"""Counting the rows that Postgres reads, which tells how work grows without a clock."""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

_READ = "SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::int FROM pg_stat_xact_user_tables"


async def rows_read(connection: asyncpg.Connection, ask: Callable[[], Awaitable[Any]]) -> int:
    """How many rows of tables are read while `ask` runs in the open transaction of the connection."""
    await connection.execute("SET LOCAL enable_seqscan = off")  # the tables of a test are small enough for one
    before: int = await connection.fetchval(_READ)
    await ask()
    after: int = await connection.fetchval(_READ)
    return after - before
