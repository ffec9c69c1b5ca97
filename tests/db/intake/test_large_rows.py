"""Small work passes large work in the inbox, and large work goes on beside any amount of small work."""

from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction
from db.intake import decision, inbox, worker_batch
from db.intake.arrival import Arrival
from tests.builders import Wire, lead
from tests.world import World

_LARGE_ACTIONS = 600
"""Of one lead, which is a large row by itself."""

_MOST_ACTIONS = 1000


def large(number: int) -> Wire:
    steps = [(f"Click {number}-{which}", "Low", "2024-04-10T09:00:00Z") for which in range(_LARGE_ACTIONS)]
    return lead(f"large {number}", *steps, customer="ann", product="crm")


def small(name: str, actions: int = 1) -> Wire:
    steps = [(f"Click {name}-{which}", "Low", "2024-04-10T09:00:00Z") for which in range(actions)]
    return lead(name, *steps, customer="bob", product="crm")


async def put(world: World, *sent: Wire) -> None:
    """A request for each lead."""
    for each in sent:
        world.oracle.accept(each)
        await world.put(each, one_partition=False)


async def waiting(engine: AsyncEngine) -> dict[bool, int]:
    """How many rows wait, by whether they are large."""
    async with transaction(engine, readonly=True) as connection:
        rows = await connection.fetch("SELECT octet_length(payload) AS bytes FROM inbox WHERE done_at IS NULL")
    found = [row["bytes"] > inbox.LARGE_BYTES for row in rows]
    return {size: found.count(size) for size in (False, True)}


async def work_once(world: World) -> None:
    assert await worker_batch.process_inbox(world.engine, world.policies, 10, _MOST_ACTIONS)


async def test_what_is_small_does_not_wait_behind_what_is_large(world: World) -> None:
    """Failed before: three bodies of 110 leads with 1,000 actions each kept every later lead waiting for 16 s."""
    await put(world, *(large(number) for number in range(4)), small("late"))
    await work_once(world)
    assert await waiting(world.engine) == {False: 0, True: 3}
    await world.work()
    await world.check()


async def test_what_is_large_goes_on_while_small_leads_keep_coming(world: World) -> None:
    await put(world, *(large(number) for number in range(3)))
    for number in range(3):
        await put(world, *(small(f"{number} {which}", actions=100) for which in range(10)))
        await work_once(world)
    assert await waiting(world.engine) == {False: 18, True: 0}
    await world.work()
    await world.check()


async def test_a_small_lead_that_loses_batches_is_alone_before_all_that_is_large_is_decided(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every batch is lost that has it beside others; the one after it takes fewer leads."""
    await put(world, large(0), small("poison"), *(large(number) for number in range(1, 5)))
    process = decision.process

    async def die(connection: asyncpg.Connection, policies: Any, arrivals: Sequence[Arrival], *rest: Any) -> Any:
        if len(arrivals) > 1:
            raise KeyboardInterrupt
        return await process(connection, policies, arrivals, *rest)

    monkeypatch.setattr(decision, "process", die)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            await work_once(world)
        await work_once(world)
    assert await waiting(world.engine) == {False: 0, True: 4}
