"""Connections that were good once: a failover made their server read-only, or a migration outdated their plans."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import autocommit, transaction
from db.core.errors import DATABASE_UNAVAILABLE
from tests.failover import failed_over

_WRITE = "INSERT INTO tallies VALUES ('written', 0, 1) ON CONFLICT (name, slot) DO UPDATE SET value = tallies.value + 1"


@asynccontextmanager
async def _all_connections(engine: AsyncEngine, count: int = 8) -> AsyncIterator[list[int]]:
    """Use several connections of the pool at the same time; their process ids."""
    everybody = asyncio.Barrier(count)
    done = asyncio.Event()

    async def use() -> int:
        async with transaction(engine, readonly=True) as connection:
            pid: int = await connection.fetchval("SELECT pg_backend_pid()")
            await everybody.wait()
            await done.wait()
            return pid

    users = [asyncio.create_task(use()) for _ in range(count)]
    pids: list[int] = []
    await asyncio.sleep(0)
    done.set()
    pids += await asyncio.gather(*users)
    yield pids


@pytest.mark.parametrize("opened", [transaction, autocommit])
async def test_after_a_failover_one_refused_write_replaces_all_connections(
    engine: AsyncEngine,
    database_url: str,
    opened: Callable[[AsyncEngine], AbstractAsyncContextManager[asyncpg.Connection]],
) -> None:
    async with failed_over(database_url):
        async with _all_connections(engine) as pids:
            assert len(set(pids)) == 8
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError) as refused:
            async with opened(engine) as connection:
                await connection.execute(_WRITE)
        assert isinstance(refused.value, DATABASE_UNAVAILABLE)
        async with _all_connections(engine) as still_read_only:
            assert not set(still_read_only) & set(pids)
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            async with opened(engine) as connection:
                await connection.execute(_WRITE)
    for _ in range(8):
        async with opened(engine) as connection:
            await connection.execute(_WRITE)
    async with transaction(engine, readonly=True) as connection:
        assert await connection.fetchval("SELECT value FROM tallies WHERE name = 'written'") == 8


async def test_a_plan_that_a_migration_outdated_is_the_fault_of_the_moment(engine: AsyncEngine) -> None:
    async def read() -> list[asyncpg.Record]:
        async with transaction(engine, readonly=True) as connection:
            rows: list[asyncpg.Record] = await connection.fetch("SELECT * FROM changing")
            return rows

    async with transaction(engine) as connection:
        await connection.execute("CREATE TABLE changing (text varchar)")
    for change in ("ADD COLUMN more int", "DROP COLUMN more", "ALTER COLUMN text TYPE text"):
        async with _all_connections(engine):
            await asyncio.gather(*(read() for _ in range(8)))
        async with transaction(engine) as connection:
            await connection.execute(f"ALTER TABLE changing {change}")
        answers = await asyncio.gather(read(), return_exceptions=True)
        assert isinstance(answers[0], (list, *DATABASE_UNAVAILABLE))
        assert [await read() for _ in range(8)] == [[]] * 8
