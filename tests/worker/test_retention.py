"""Retention: what callers sent is forgotten long after it was decided, and not one figure knows of it."""

import asyncio
import os
import subprocess
import sys
from typing import Any

import asyncpg
import pytest

from db.core.engine import transaction
from db.core.settings import Settings
from db.intake import request_status, retention
from db.intake.payloads import lead_from_payload
from tests.builders import lead
from tests.world import World
from worker.runtime import Runtime, create_runtime
from worker.tasks import retention as tasks

APRIL = "2024-04-10T09:00:00Z"
LEDGER = (
    *("leads", "actions", "winners", "customer_states", "customer_periods", "product_periods", "billing_reports"),
    *("quarantine", "dead_letters"),
)


async def fetch(world: World, query: str, *arguments: object) -> list[Any]:
    async with transaction(world.engine) as connection:
        return [tuple(row) for row in await connection.fetch(query, *arguments)]


async def age(world: World, days: int, of: str = "inbox") -> None:
    """Let everything that is over have been over for longer."""
    column = "done_at" if of == "inbox" else "resolved_at"
    await fetch(world, f"UPDATE {of} SET {column} = {column} - make_interval(days => $1)", days)


async def ledger(world: World) -> list[Any]:
    return [await fetch(world, f'SELECT to_jsonb(t)::text FROM "{table}" AS t ORDER BY 1') for table in LEDGER]


async def statuses(world: World) -> list[Any]:
    async with transaction(world.engine, readonly=True) as connection:
        return await request_status.page(connection, before=None, limit=1000)


async def kept(world: World) -> list[bool]:
    """Of each request, oldest first, whether it is kept as it was sent."""
    rows = await fetch(world, "SELECT payload <> '', lead_ids <> '{}' FROM inbox ORDER BY id")
    assert all(payload == lead_ids for payload, lead_ids in rows)
    return [payload for payload, _ in rows]


async def test_old_requests_are_emptied_and_every_figure_and_status_stays(runtime: Runtime, world: World) -> None:
    for number in range(3):
        await world.send(lead(f"old-{number}", ("Click", "High", APRIL), customer="ann", product="crm"))
    await world.send(lead("aside", customer="ann", product="unknown"))
    await age(world, 90)
    await world.send(lead("young", ("Visit", "High", APRIL), customer="ann", product="crm"))
    before, told = await ledger(world), await statuses(world)
    await tasks.delete_old(runtime)
    assert await kept(world) == [False, False, False, False, True]
    assert await ledger(world) == before
    assert await statuses(world) == told
    await world.check()
    # Sent again, it is a replay still (R3).
    await world.send(lead("old-0", ("Click", "High", APRIL), customer="ann", product="crm"))
    assert (await statuses(world))[0][1].leads["replayed"] == 1
    await world.check()


async def test_the_days_are_those_of_the_setting(world: World, settings: Settings) -> None:
    await world.send(lead(customer="ann", product="crm"))
    await age(world, 9)
    for days, expected in ((10, [True]), (9, [False])):
        at = create_runtime(settings.model_copy(update={"inbox_retention_days": days}))
        await tasks.delete_old(at)
        await at.engine.dispose()
        assert await kept(world) == expected


async def test_nothing_undecided_is_ever_forgotten_nor_anything_behind_it(runtime: Runtime, world: World) -> None:
    await world.send(lead("decided", customer="ann", product="crm"))
    await world.accept(lead("waiting", ("Visit", "High", APRIL), customer="ann", product="crm"))
    await fetch(world, "UPDATE inbox SET received_at = received_at - interval '1000 days'")
    waiting = await fetch(world, "SELECT to_jsonb(inbox)::text FROM inbox WHERE done_at IS NULL")
    assert len(waiting) == 1
    async with transaction(world.engine) as connection:
        await connection.execute(
            """
            INSERT INTO inbox (batch_id, part, request_id, received_at, lead_count, lead_ids, payload, done_at, result)
            SELECT gen_random_uuid(), part, 'behind', received_at, lead_count, lead_ids, payload, now(), result
            FROM inbox WHERE done_at IS NOT NULL
            """
        )
    await age(world, 900)
    for _ in range(2):
        await tasks.delete_old(runtime)
        assert await kept(world) == [False, True, True]
    assert await fetch(world, "SELECT to_jsonb(inbox)::text FROM inbox WHERE done_at IS NULL") == waiting
    await world.work()
    await world.check()
    await tasks.delete_old(runtime)
    assert await kept(world) == [False, True, True]  # it was decided just now
    await age(world, 900)
    await tasks.delete_old(runtime)
    assert await kept(world) == [False, False, False]


async def test_what_is_emptied_is_not_looked_at_again(runtime: Runtime, world: World) -> None:
    await world.send(lead(customer="ann", product="crm"))
    await age(world, 90)
    await tasks.delete_old(runtime)
    before = await fetch(world, "SELECT xmin, ctid FROM inbox")
    await tasks.delete_old(runtime)
    assert await fetch(world, "SELECT xmin, ctid FROM inbox") == before


async def test_many_rows_are_emptied_a_few_at_a_time(
    runtime: Runtime, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        await world.send(lead(f"l-{number}", customer="ann", product="crm"))
    await age(world, 90)
    monkeypatch.setattr(tasks, "MOST_AT_ONCE", 3)
    await tasks.delete_old(runtime)
    assert await kept(world) == [False] * 7


async def test_what_left_the_quarantine_long_ago_is_deleted_and_the_rest_stays(runtime: Runtime, world: World) -> None:
    await world.send(lead("later", customer="ann", product="erp"), lead("never", customer="ann", product="none"))
    await world.product("erp", "acme")
    await fetch(world, "UPDATE quarantine SET received_at = received_at - interval '1000 days'")
    await tasks.delete_old(runtime)
    assert len(await fetch(world, "SELECT FROM quarantine")) == 2
    await age(world, 90, of="quarantine")
    await tasks.delete_old(runtime)
    ((payload,),) = await fetch(world, "SELECT payload FROM quarantine")
    assert lead_from_payload(payload).external_id == "never"
    await world.product("none", "acme")
    await world.check()


async def test_dead_letters_that_nobody_tried_again_stay(runtime: Runtime, world: World) -> None:
    async with transaction(world.engine) as connection:
        await connection.execute(
            """
            INSERT INTO dead_letters (inbox_id, batch_id, received_at, payload, error, resolved_at)
            SELECT 1, gen_random_uuid(), now() - interval '1000 days', '', error, resolved_at
            FROM (VALUES ('open', NULL), ('young', now() - interval '89 days'), ('old', now() - interval '91 days'))
                AS letters (error, resolved_at)
            """
        )
    await tasks.delete_old(runtime)
    assert await fetch(world, "SELECT error FROM dead_letters ORDER BY id") == [("open",), ("young",)]


async def test_a_lead_that_is_set_aside_again_in_this_moment_stays(world: World, settings: Settings) -> None:
    """Failed before: with the condition inside only, the row was deleted although it is open again."""
    await world.send(lead("l-1", customer="ann", product="none"))
    await fetch(world, "UPDATE quarantine SET resolved_at = now() - interval '100 days'")
    other = await asyncpg.connect(settings.database_url)
    try:
        setting_aside = other.transaction()
        await setting_aside.start()
        await other.execute("UPDATE quarantine SET resolved_at = NULL")

        async def delete() -> int:
            async with transaction(world.engine) as connection:
                return await retention.delete_resolved(connection, "quarantine", 90, 10)

        deleting = asyncio.create_task(delete())
        await asyncio.sleep(0.5)
        assert not deleting.done()
        await setting_aside.commit()
        assert await deleting == 0
    finally:
        await other.close()
    await world.product("none", "acme")
    await world.check()


def test_beat_starts_it_and_the_worker_knows_it(settings: Settings) -> None:
    program = """
from worker.app import app
app.loader.import_default_modules()
assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= set(app.tasks)
print(app.conf.beat_schedule["retention.delete"]["schedule"])
"""
    environment = {**os.environ, "DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("3600.0\n", "")
