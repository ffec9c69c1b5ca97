"""While the workers are paused no lead is decided, whoever asks for it; everything else goes on."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import structlog

from db.core.engine import transaction
from db.intake import inbox, worker_batch
from db.ledger import verdicts
from db.tasks import pauses, records
from db.telemetry import business_figures
from db.telemetry.logs import configure_logging
from tests.asked import asked_by
from tests.builders import distinct, lead
from tests.worker.test_background import due
from tests.world import World
from worker.runtime import Runtime, create_runtime
from worker.task_kinds import RUNNER
from worker.tasks import leads
from worker.tasks.quarantine import empty_quarantine

APRIL = "2024-04-10T09:00:00Z"


async def pause(world: World) -> None:
    async with transaction(world.engine) as connection:
        assert await pauses.begin(asked_by("ops", connection), "new rates")


async def resume(world: World) -> None:
    async with transaction(world.engine) as connection:
        assert await pauses.end(asked_by("ops", connection))


async def task(world: World, kind: str, **arguments: Any) -> UUID:
    async with transaction(world.engine) as connection:
        newest = await inbox.newest_waiting(connection)
        more = {"partner_id": world.partners["acme"], "newest_waiting": newest, **arguments}
        return await records.create(connection, kind, more, "request")


async def state(world: World, task_id: UUID) -> str:
    async with transaction(world.engine, readonly=True) as connection:
        row = await records.read(connection, task_id)
    assert row is not None
    return str(row.state)


async def decided(world: World) -> int:
    async with transaction(world.engine, readonly=True) as connection:
        count: int = await connection.fetchval("SELECT count(*) FROM leads")
    return count


async def test_neither_a_notification_nor_the_sweeper_has_leads_decided(runtime: Runtime, world: World) -> None:
    await world.accept(*distinct(3, APRIL, customer="ann", product="crm"))
    await pause(world)
    assert await leads.empty_inbox(runtime)  # no further message is needed
    await empty_quarantine(runtime)
    assert await decided(world) == 0
    await resume(world)
    assert await leads.empty_inbox(runtime)
    await world.check()


async def test_a_new_process_is_paused_too(runtime: Runtime, world: World) -> None:
    await world.accept(lead(customer="ann", product="crm"))
    await pause(world)
    restarted = create_runtime(runtime.settings)
    try:
        assert await leads.empty_inbox(restarted)
        assert await decided(world) == 0
    finally:
        await restarted.engine.dispose()


async def test_the_batch_at_hand_is_ended_and_no_other_begun(
    runtime: Runtime, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.accept(*distinct(10, APRIL, customer="ann", product="crm"), chunk_leads=1)
    write, batches = verdicts.write, []

    async def pause_while_it_writes(*arguments: Any) -> Any:
        batches.append(1)
        if len(batches) == 1:
            await pause(world)
        return await write(*arguments)

    monkeypatch.setattr(verdicts, "write", pause_while_it_writes)
    runtime.settings = runtime.settings.model_copy(update={"task_max_leads": 1})
    assert await leads.empty_inbox(runtime)
    assert (len(batches), await decided(world)) == (1, 1)
    await resume(world)
    while not await leads.empty_inbox(runtime):
        pass
    await world.check()


async def test_quarantined_leads_stay_where_they_are(runtime: Runtime, world: World) -> None:
    await world.send(lead("early", customer="ann", product="later"))
    await pause(world)
    async with transaction(world.engine) as connection:
        await connection.execute("UPDATE quarantine SET product_id = (SELECT id FROM products)")
    await empty_quarantine(runtime)
    task_id = await task(world, "retry_quarantine", ids=None)
    by_number = await task(world, "retry_quarantine", ids=[1])
    for each in (task_id, by_number):
        await RUNNER.run(runtime, each)
        assert await state(world, each) == "waiting"
    async with transaction(world.engine) as connection:
        assert await connection.fetchval("SELECT count(*) FROM quarantine WHERE resolved_at IS NULL") == 1


async def test_closing_waits_for_the_end_of_the_pause_if_it_waits_for_leads(runtime: Runtime, world: World) -> None:
    await world.accept(*distinct(3, APRIL, customer="ann", product="crm"))
    await pause(world)
    task_id = await task(world, "close", period=202404)
    await asyncio.wait_for(RUNNER.run(runtime, task_id), timeout=10)  # it holds no worker up
    assert await state(world, task_id) == "waiting"
    async with transaction(world.engine) as connection:
        assert await connection.fetchval("SELECT closed_through FROM partners") is None
        await connection.execute("UPDATE tasks SET created_at = created_at - interval '6 s'")
    assert await due(world) == [task_id]
    await resume(world)
    await RUNNER.run(runtime, task_id)
    assert await state(world, task_id) == "done"
    world.oracle.close("acme", "2024-04")
    await world.check()


async def test_closing_that_needs_no_lead_decided_goes_on(runtime: Runtime, world: World) -> None:
    await world.send(*distinct(3, APRIL, customer="ann", product="crm"))
    task_id = await task(world, "close", period=202404)
    await pause(world)
    await world.accept(lead("later", ("Click", "High", "2024-05-01T09:00:00Z"), customer="ann", product="crm"))
    await RUNNER.run(runtime, task_id)
    assert await state(world, task_id) == "done"
    assert await decided(world) == 3


async def test_rebuilds_and_re_evaluations_go_on(runtime: Runtime, world: World) -> None:
    await world.send(*distinct(12, APRIL, customer="ann", product="crm"))
    await pause(world)
    await world.terms("acme", "2024-04", cap="33.00")
    partner_ids = [str(world.partners["acme"])]
    for task_id in (
        await task(world, "reevaluate", partner_ids=partner_ids),
        await task(world, "reevaluate_stale"),
        await task(world, "rebuild", period=202404),
    ):
        await RUNNER.run(runtime, task_id)
        assert await state(world, task_id) == "done"
    await world.check()


async def test_a_fault_while_asking_is_a_fault_of_the_moment(
    runtime: Runtime, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.accept(lead(customer="ann", product="crm"))
    ask, faults = pauses.refuse_if_paused, [asyncpg.ConnectionDoesNotExistError]

    async def fail_once(*arguments: Any) -> None:
        if faults:
            raise faults.pop()
        await ask(*arguments)

    monkeypatch.setattr(pauses, "refuse_if_paused", fail_once)
    assert await leads.empty_inbox(runtime)
    await world.check()


async def test_every_sweep_is_noted_and_says_so_while_the_workers_are_paused(
    runtime: Runtime, world: World, logged: list[dict[str, Any]]
) -> None:
    async def noted() -> tuple[int, float]:
        async with transaction(world.engine, readonly=True) as connection:
            figures = await business_figures.read(connection)
            now = await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
        return round(now) - figures.swept_at_s, figures.paused_s

    assert (await noted())[0] > 10**9  # never
    await leads.record_sweep(runtime)
    assert logged == []
    await pause(world)
    await leads.record_sweep(runtime)
    assert logged == [{"event": "workers_are_paused", "log_level": "info", "paused_by": "ops", "reason": "new rates"}]
    ago_s, paused_s = await noted()
    assert ago_s <= 5
    assert 0 < paused_s < 10


async def test_what_a_task_logs_is_seen_whatever_level_the_process_was_set_to_before(
    runtime: Runtime, world: World, request: pytest.FixtureRequest
) -> None:
    """`create_app` sets the level of its whole process, and other tests run in it."""
    before = structlog.get_config()
    configure_logging("ERROR")
    try:
        logged = request.getfixturevalue("logged")
        await pause(world)
        await leads.record_sweep(runtime)
        assert [event["event"] for event in logged] == ["workers_are_paused"]
    finally:
        structlog.configure(**before)


async def test_work_that_does_not_ask_decides_leads_in_a_pause(world: World) -> None:
    """So the tests above fail if anybody forgets to ask."""
    await world.accept(lead(customer="ann", product="crm"))
    await pause(world)
    assert await worker_batch.process_inbox(world.engine, world.policies, 1000) == 1
