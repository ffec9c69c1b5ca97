"""What keeps a batch from being decided: a pause, no worker, or whoever holds a lock that its worker waits for."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import create_engine, transaction
from db.core.settings import Settings
from db.intake import inbox, worker_batch
from db.intake.inbox import Accepted
from db.ledger.policies import Policies
from db.tasks import pauses, stuck
from db.tasks.stuck import StuckPart
from tests.asked import asked_by
from tests.builders import lead
from tests.world import World, domain_leads


@pytest.fixture
async def worker(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """Connections as the workers have them."""
    engine = create_engine(settings, "leadger-worker", pool_size=3)
    yield engine
    await engine.dispose()


async def found(world: World, older_than_s: float = 0) -> list[StuckPart]:
    async with transaction(world.engine, readonly=True) as connection:
        parts = await stuck.page(connection, older_than_s=older_than_s, after=0, limit=100)
        assert await stuck.count(connection, older_than_s) == len(parts)
    return parts


async def _until_blocked(engine: AsyncEngine) -> None:
    while True:
        async with transaction(engine, readonly=True) as connection:
            if await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                return
        await asyncio.sleep(0.02)


async def test_only_what_waits_for_longer_is_stuck(world: World) -> None:
    await world.send(lead("done", customer="ann", product="crm"))
    await world.accept(lead("old", customer="ann", product="crm"))
    async with transaction(world.engine) as connection:
        await connection.execute("UPDATE inbox SET received_at = received_at - interval '100 s' WHERE done_at IS NULL")
    await world.accept(lead("new", customer="ann", product="crm"))
    (old,) = await found(world, older_than_s=60)
    assert (old.part, old.leads, old.request_id) == (0, 1, "test")
    assert old.waited_s == pytest.approx(100, abs=5)
    assert old.why == "No worker is connected to Postgres."
    assert (await found(world))[0].batch_id == old.batch_id
    assert len(await found(world)) == 2
    await world.work()
    assert await found(world) == []


async def test_pages_go_on_where_the_last_one_ended(world: World) -> None:
    await world.accept(*(lead(str(n), customer="ann", product="crm") for n in range(5)), chunk_leads=1)
    async with transaction(world.engine, readonly=True) as connection:
        first = await stuck.page(connection, older_than_s=0, after=0, limit=3)
        second = await stuck.page(connection, older_than_s=0, after=first[-1].id, limit=3)
    assert [len(first), len(second)] == [3, 2]
    assert first[-1].id < second[0].id


async def test_workers_that_do_not_take_it(world: World, worker: AsyncEngine) -> None:
    await world.accept(lead(customer="ann", product="crm"))
    async with transaction(worker):
        (part,) = await found(world)
    assert part.why == (
        "Nobody has it, although workers are connected: no message came for it, or its batch fails each time."
    )


async def test_a_pause_is_named_with_its_reason(world: World, worker: AsyncEngine) -> None:
    await world.accept(lead(customer="ann", product="crm"))
    async with transaction(world.engine) as connection:
        await pauses.begin(asked_by("ops", connection), "new rates")
    (part,) = await found(world)
    assert re.fullmatch(r"The workers have been paused since .* UTC by ops: new rates\.", part.why)


async def test_the_worker_and_whoever_it_waits_for_are_named(
    world: World, worker: AsyncEngine, settings: Settings
) -> None:
    await world.accept(lead("first", customer="ann", product="crm"))
    person = await asyncpg.connect(settings.database_url, server_settings={"application_name": "psql"})
    await person.execute("BEGIN; LOCK TABLE customer_periods IN ACCESS EXCLUSIVE MODE")
    deciding = asyncio.create_task(worker_batch.process_inbox(worker, Policies(), 1000))
    await _until_blocked(world.engine)
    await asyncio.sleep(1.1)
    async with transaction(world.engine) as connection:
        behind_it = domain_leads(lead("behind", customer="ann", product="crm"))
        await inbox.add(connection, [Accepted(uuid4(), "test", datetime.now(UTC), behind_it)])
        await connection.execute("UPDATE inbox SET lane = (SELECT min(lane) FROM inbox) WHERE id = 2")
    first, behind = await found(world)
    pid = person.get_server_pid()
    theirs = re.escape(f"Backend {pid} (psql, idle in transaction, for ") + r"\d+ s\)"
    ours = r"Backend \d+ \(leadger-worker, active, for [1-9]\d* s\)"
    assert re.fullmatch(f"{ours} works on it, and waits for a lock of {theirs}\\.", first.why), first.why
    assert re.fullmatch(f"It comes after what {ours} works on, and waits for a lock of {theirs}\\.", behind.why), (
        behind.why
    )
    assert not deciding.done()  # looking takes no lock and disturbs nobody
    await person.execute("ROLLBACK")
    await deciding
    await person.close()
    await world.work()
    assert await found(world) == []


async def test_a_worker_that_waits_for_nobody_is_named_alone(world: World, worker: AsyncEngine) -> None:
    await world.accept(lead(customer="ann", product="crm"))
    async with transaction(worker) as connection:
        await connection.execute("SELECT FROM inbox WHERE done_at IS NULL FOR UPDATE")
        (part,) = await found(world)
        assert re.fullmatch(r"Backend \d+ \(leadger-worker, idle in transaction, for 0 s\) works on it\.", part.why)
    (part,) = await found(world)
    assert part.why.startswith("Nobody has it")
