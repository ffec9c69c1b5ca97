"""Whoever wants a lock alone that batches share keeps them waiting for a moment only."""

import asyncio
import time
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core import locks
from db.core.engine import transaction
from db.core.row_keys import customer_uuid
from db.ledger import single_changes
from db.ledger.policies import Policies
from tests.builders import lead
from tests.world import World


async def test_batches_pass_whoever_waits_for_a_lock_that_is_shared_for_long(engine: AsyncEngine) -> None:
    """Failed before: behind a change of terms every batch waited for a request that waited for a customer."""
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
            await locks.lock_partner_exclusive(connection, partner)

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


async def test_whoever_waits_for_a_customer_keeps_nobody_from_the_partner(world: World) -> None:
    """Failed before: it shared the partner's lock for as long, and a change of terms waited, and batches behind it."""
    await world.send(lead(customer="ann", product="crm"))
    acme, ann = world.partners["acme"], customer_uuid("ann")

    async def wait() -> int:
        async with transaction(world.engine) as connection:
            action_id = await connection.fetchval("SELECT id FROM actions")
            return (await single_changes.lock_action(connection, Policies(), action_id)).judged_by

    async with transaction(world.engine) as holding, transaction(world.engine) as wanting:
        await locks.lock_customers(holding, [(acme, ann)])
        waiting = [asyncio.create_task(wait()) for _ in range(3)]
        await asyncio.sleep(2 * locks.SHARED_S)
        started = time.monotonic()
        await wanting.execute("SET LOCAL lock_timeout = '900ms'")
        await locks.lock_partner_exclusive(wanting, acme)
        assert time.monotonic() - started < 0.9
        assert not any(each.done() for each in waiting)
    assert await asyncio.gather(*waiting) == [1, 1, 1]


async def test_whoever_waits_for_a_customer_gives_up_after_the_time_of_the_session(world: World) -> None:
    await world.send(lead(customer="ann", product="crm"))
    acme, ann = world.partners["acme"], customer_uuid("ann")
    async with transaction(world.engine) as holding, transaction(world.engine) as waiting:
        await locks.lock_customers(holding, [(acme, ann)])
        await waiting.execute("SET LOCAL lock_timeout = '300ms'")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await locks.lock_customer_of_partner(waiting, acme, ann)
