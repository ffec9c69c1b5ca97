"""What a transaction makes of faults: of the moment, or of a value that fits no column."""

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.problems import OUT_OF_REACH
from db.batch import TRANSIENT
from db.engine import transaction


async def test_a_value_that_fits_no_column_is_no_fault_of_the_moment(engine: AsyncEngine) -> None:
    for value in (2**40, "x", object()):
        with pytest.raises(asyncpg.DataError) as error:
            async with transaction(engine) as connection:
                await connection.fetchval("SELECT $1::int", value)
        assert not isinstance(error.value, (*TRANSIENT, *OUT_OF_REACH))
    async with transaction(engine) as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_lost_connection_is_one_and_the_next_transaction_works(engine: AsyncEngine) -> None:
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
            await connection.execute("DELETE FROM rate_rules")
