"""Background judging gives way to leads that are late, for as long as it worked and no longer."""

import asyncio
import time

from db.core.engine import transaction
from tests.builders import lead
from tests.world import World
from worker.leads_first import leads_before_each_step, leads_first
from worker.runtime import Runtime

_WORKED_S = 0.4
_STEP_S = 0.1


async def paused_s(runtime: Runtime) -> float:
    """How long it gives way after some work."""
    async with leads_first(runtime):
        await asyncio.sleep(_WORKED_S)
        ended = time.monotonic()
    return time.monotonic() - ended


async def late_lead(world: World) -> None:
    await world.accept(lead(customer="ann", product="crm"))
    async with transaction(world.engine) as connection:
        await connection.execute("UPDATE inbox SET received_at = received_at - interval '1 second'")


async def test_background_judging_gives_way_to_late_leads_as_long_as_it_worked(runtime: Runtime, world: World) -> None:
    await late_lead(world)
    assert _WORKED_S * 0.9 < await paused_s(runtime) < _WORKED_S * 3


async def test_background_judging_goes_on_where_no_lead_is_late(runtime: Runtime, world: World) -> None:
    await world.accept(lead(customer="ann", product="crm"))
    async with transaction(world.engine) as connection:
        await connection.execute("UPDATE inbox SET received_at = received_at + interval '1 hour'")
    assert await paused_s(runtime) < _WORKED_S * 0.9


async def test_background_judging_goes_on_once_late_leads_are_decided(runtime: Runtime, world: World) -> None:
    await late_lead(world)
    giving_way = asyncio.create_task(paused_s(runtime))
    await world.work()
    assert await giving_way < _WORKED_S * 0.9


async def test_a_rebuild_gives_way_to_late_leads_after_each_step(runtime: Runtime, world: World) -> None:
    reported: list[tuple[int, int]] = []

    async def report(done: int, total: int) -> None:
        reported.append((done, total))

    await late_lead(world)
    progress = leads_before_each_step(runtime, report)
    for done in (1, 2):
        await asyncio.sleep(_STEP_S)
        ended = time.monotonic()
        await progress(done, 2)
        assert time.monotonic() - ended > _STEP_S * 0.9
    assert reported == [(1, 2), (2, 2)]
