"""Errors in a transaction: transient ones, and values that fit no column."""

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import autocommit, create_engine, transaction
from db.core.errors import TRANSIENT
from db.core.settings import Settings


async def test_a_value_that_fits_no_column_is_not_transient(engine: AsyncEngine) -> None:
    for value in (2**40, "x", object()):
        with pytest.raises(asyncpg.DataError) as error:
            async with transaction(engine) as connection:
                await connection.fetchval("SELECT $1::int", value)
        assert not isinstance(error.value, TRANSIENT)
    async with transaction(engine) as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_lost_connection_is_transient_and_the_next_transaction_works(engine: AsyncEngine) -> None:
    async def lose() -> None:
        async with transaction(engine) as connection:
            connection.terminate()
            await connection.fetchval("SELECT 1")

    with pytest.raises(TRANSIENT):
        await lose()
    async with transaction(engine) as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_readonly_transaction_writes_nothing(engine: AsyncEngine) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with transaction(engine, readonly=True) as connection:
            await connection.execute("DELETE FROM rates")


async def test_outside_a_transaction_every_statement_commits_by_itself(engine: AsyncEngine) -> None:
    async with autocommit(engine) as connection, transaction(engine) as other:
        for count in (1, 2):
            await connection.execute(
                "INSERT INTO api_keys VALUES (gen_random_uuid(), 'x', $1, '{read}')", b"%d" % count
            )
            assert await other.fetchval("SELECT count(*) FROM api_keys") == count


async def test_a_connection_on_which_a_statement_failed_is_not_used_again(engine: AsyncEngine) -> None:
    async def pid_after(statement: str) -> int:
        async with autocommit(engine) as connection:
            pid: int = await connection.fetchval("SELECT pg_backend_pid()")
            await connection.execute(statement)
        return pid

    first = await pid_after("SELECT 1")
    with pytest.raises(asyncpg.UndefinedTableError):
        await pid_after("TABLE nowhere")
    second = await pid_after("SELECT 1")
    assert second != first
    assert await pid_after("SELECT 1") == second


@pytest.mark.parametrize(("most_age_s", "connections"), [(-1, 1), (0, 2)])
async def test_a_connection_beyond_its_age_is_not_used_again(
    settings: Settings, most_age_s: int, connections: int
) -> None:
    engine = create_engine(settings, "leadger-test", 1, most_age_s=most_age_s)
    pids = set()
    for _ in range(2):
        async with transaction(engine, readonly=True) as connection:
            pids.add(await connection.fetchval("SELECT pg_backend_pid()"))
    await engine.dispose()
    assert len(pids) == connections
