"""Whoever wants a lock alone that batches share keeps them waiting for a moment only."""

import asyncio
import time
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core import locks
from db.core.engine import transaction


async def test_batches_pass_whoever_waits_for_a_lock_that_is_shared_for_long(engine: AsyncEngine) -> None:
    """Failed before: behind a rule for all partners every batch waited for a request that waited for a customer."""
    partner, slow, wanted = uuid4(), asyncio.Event(), asyncio.Event()
    waited: list[float] = []

    async def share_for_long() -> None:
        async with transaction(engine) as connection:
            await locks.lock_partners_shared(connection, [partner])
            slow.set()
            await asyncio.sleep(2.0)

    async def want_it_alone() -> None:
        async with transaction(engine) as connection:
            wanted.set()
            await locks.lock_rate_card_exclusive(connection)

    async def batches() -> None:
        for _ in range(6):
            started = time.monotonic()
            async with transaction(engine) as connection:
                await locks.lock_partners_shared(connection, [partner])
            waited.append(time.monotonic() - started)
            await asyncio.sleep(0.1)

    sharing = asyncio.create_task(share_for_long())
    await slow.wait()
    wanting = asyncio.create_task(want_it_alone())
    await wanted.wait()
    await asyncio.sleep(0.1)
    await batches()
    assert not sharing.done()
    assert max(waited) < 1.5
    await asyncio.gather(sharing, wanting)


async def test_it_gives_up_after_the_time_of_the_session_which_stays_as_it_was(engine: AsyncEngine) -> None:
    partner = uuid4()
    async with transaction(engine) as sharing, transaction(engine) as wanting:
        await locks.lock_partners_shared(sharing, [partner])
        await wanting.execute("SET LOCAL lock_timeout = '700ms'")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await locks.lock_partner_exclusive(wanting, partner)
        assert await wanting.fetchval("SELECT current_setting('lock_timeout')") == "700ms"
    async with transaction(engine) as connection:
        await connection.execute("SET LOCAL lock_timeout = '0'")
        await locks.lock_partner_exclusive(connection, partner)
        assert await connection.fetchval("SELECT current_setting('lock_timeout')") == "0"
