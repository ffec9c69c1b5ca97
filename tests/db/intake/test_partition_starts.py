"""What an old transaction keeps in the index of what waits is not passed by each batch; no waiting row is left out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction
from db.intake import backlog, inbox
from db.intake.partitions import PartitionStarts

_DECIDED = 6_000
_ROW = """
    INSERT INTO inbox (id, batch_id, part, lane, request_id, received_at, lead_count, lead_ids, payload)
    SELECT number, gen_random_uuid(), 0, $3, 'test', clock_timestamp() - interval '9 s', 1, '{}', '[]'
    FROM generate_series($1::int, $2::int) AS number
"""


async def _waiting(engine: AsyncEngine, first: int, last: int, lane: int = 0) -> None:
    async with transaction(engine) as connection:
        await connection.execute(_ROW, first, last, lane)


@asynccontextmanager
async def _decided_beside_an_old_transaction(engine: AsyncEngine) -> AsyncIterator[None]:
    """Rows 1 to `_DECIDED`, all decided, and a snapshot from before that, as a backup has one."""
    await _waiting(engine, 1, _DECIDED)
    async with transaction(engine, readonly=True) as old:
        await old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await old.fetchval("SELECT count(*) FROM partners")
        async with transaction(engine) as connection:
            await connection.execute("UPDATE inbox SET done_at = clock_timestamp(), result = '{}'")
        yield


async def _read(connection: asyncpg.Connection) -> int:
    """How many entries of the index of what waits have been read."""
    await connection.execute("SELECT pg_stat_force_next_flush()")
    read: int = await connection.fetchval(
        "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'ix_inbox_waiting_in_lane'"
    )
    return read


async def test_decided_rows_are_passed_once_a_second_and_not_by_each_batch(engine: AsyncEngine) -> None:
    async with _decided_beside_an_old_transaction(engine):
        await _waiting(engine, _DECIDED + 1, _DECIDED + 3)
        starts = PartitionStarts()
        async with transaction(engine) as connection:
            assert len(await inbox.claim(connection, 100, starts=starts)) == 3
        async with engine.connect() as held:
            raw = (await held.get_raw_connection()).driver_connection
            assert raw is not None
            before = await _read(raw)
            for _ in range(3):
                async with raw.transaction():
                    assert len(await inbox.claim(raw, 100, starts=starts)) == 3
                assert await backlog.leads(raw, 1_000_000, starts) == 3
                assert 9 <= await backlog.waited_s(raw, starts) < 60
            with_starts = await _read(raw) - before
            async with raw.transaction():
                assert len(await inbox.claim(raw, 100)) == 3
            from_the_beginning = await _read(raw) - before - with_starts
    assert from_the_beginning > 2 * _DECIDED  # the partition is looked at, then its rows
    assert with_starts / 3 < from_the_beginning / 2


async def test_a_partition_where_nothing_waited_is_not_looked_through_either(engine: AsyncEngine) -> None:
    async with _decided_beside_an_old_transaction(engine):
        starts = PartitionStarts()
        async with transaction(engine) as connection:
            assert await backlog.waited_s(connection, starts) == 0
            assert await starts.now(connection) == (_DECIDED - 1_000,) * 16
        await _waiting(engine, _DECIDED + 1, _DECIDED + 1, lane=5)
        async with transaction(engine) as connection:
            assert len(await inbox.claim(connection, 100, starts=starts)) == 1


async def test_a_row_with_a_lower_id_that_was_committed_later_is_found_at_the_next_look(engine: AsyncEngine) -> None:
    await _waiting(engine, 5_000, 5_000)
    starts = PartitionStarts()
    async with transaction(engine) as connection:
        assert [row.id for row in await inbox.claim(connection, 100, starts=starts)] == [5_000]
    await _waiting(engine, 10, 10)
    await _waiting(engine, 4_500, 4_500)
    async with transaction(engine) as connection:
        assert [row.id for row in await inbox.claim(connection, 100, starts=starts)] == [4_500, 5_000]
    await asyncio.sleep(1.1)
    async with transaction(engine) as connection:
        assert [row.id for row in await inbox.claim(connection, 100, starts=starts)] == [10, 4_500, 5_000]
