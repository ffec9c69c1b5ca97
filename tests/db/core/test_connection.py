"""A connection that is lost or given up: whoever copies is told, and nothing is left behind."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.connection import Connection
from db.core.engine import autocommit, transaction
from db.core.errors import DATABASE_UNAVAILABLE

_FAREWELL = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
"""What Postgres says on an idle connection before it closes it."""


@pytest.fixture(scope="session", params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """The loop of a test and that of a worker, which differ in what writing to a lost connection raises."""
    return "asyncio", {"use_uvloop": request.param}


async def _copy(connection: asyncpg.Connection, count: int = 1, size: int = 0) -> None:
    rows = ((f"{number} {'x' * size}", 0, 1) for number in range(count))
    await connection.copy_records_to_table("tallies", records=rows, columns=["name", "slot", "value"])


async def _end_backend(engine: AsyncEngine, pid: int) -> None:
    async with autocommit(engine) as other:
        await other.execute("SELECT pg_terminate_backend($1)", pid)


async def test_a_copy_that_cannot_begin_leaves_no_error_behind(database_url: str) -> None:
    connection: Any = await asyncpg.connect(database_url, connection_class=Connection)
    await _copy(connection)
    connection._protocol.data_received(b"E" + (len(_FAREWELL) + 4).to_bytes(4, "big") + _FAREWELL)
    with pytest.raises(DATABASE_UNAVAILABLE):
        await _copy(connection)
    connection.terminate()
    del connection
    gc.collect()  # an error that nobody retrieves is told to the loop, and fails the test


@asynccontextmanager
async def _copy_that_waits(engine: AsyncEngine) -> AsyncIterator[tuple[Any, asyncio.Task[None]]]:
    """A connection and its COPY, which has sent more than anybody reads."""
    async with transaction(engine) as locked, autocommit(engine) as connection:
        await _copy(connection)
        await locked.execute("LOCK TABLE tallies")
        copying = asyncio.create_task(_copy(connection, count=100, size=500_000))
        copied: Any = connection
        while copied._protocol.writing_allowed.is_set():  # noqa: ASYNC110 - asyncpg tells nobody
            await asyncio.sleep(0.01)
        yield copied, copying


async def test_a_copy_that_waits_for_a_reader_ends_with_the_connection(engine: AsyncEngine) -> None:
    async with _copy_that_waits(engine) as (connection, copying):
        await _end_backend(engine, connection.get_server_pid())
        with pytest.raises(asyncpg.ConnectionDoesNotExistError):
            await asyncio.wait_for(copying, 5)


async def test_a_copy_whose_connection_is_given_up_is_a_lost_one(engine: AsyncEngine) -> None:
    """As asyncpg gives it up if a frozen server does not answer that the statement is to be cancelled."""
    async with _copy_that_waits(engine) as (connection, copying):
        connection.terminate()
        with pytest.raises(asyncpg.ConnectionDoesNotExistError):
            await asyncio.wait_for(copying, 5)


async def test_a_connection_that_is_given_up_while_it_cancels_leaves_no_error_behind(database_url: str) -> None:
    """The request to cancel a statement opens a connection of its own; it is cut at each of its first steps."""
    for steps in range(1, 12):
        connection = await asyncpg.connect(database_url, connection_class=Connection)
        sleeping = asyncio.create_task(connection.execute("SELECT pg_sleep(1)"))
        await asyncio.sleep(0.01)
        sleeping.cancel()
        for _ in range(steps):
            await asyncio.sleep(0)
        connection.terminate()
        await asyncio.gather(sleeping, return_exceptions=True)
        await asyncio.sleep(0.01)
        del connection, sleeping
        gc.collect()
