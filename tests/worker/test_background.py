"""Background tasks can be killed anywhere and started again: the sweeper finds them, and the result is the same."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from db.core.engine import transaction
from db.intake import inbox
from db.ledger import closing, holds_at_close, rebuild, recount, reevaluation, verdicts
from db.reports import snapshots
from db.tasks import records
from db.tasks.records import Task
from db.telemetry import counters
from tests.builders import distinct, lead
from tests.world import World
from worker.runtime import Runtime
from worker.task_kinds import RUNNER
from worker.tasks import leads
from worker.tasks.quarantine import empty_quarantine

APRIL = "2024-04-10T09:00:00Z"


class Killed(BaseException):
    """What a killed process never gets to say."""


async def create(world: World, kind: str, **arguments: Any) -> UUID:
    async with transaction(world.engine) as connection:
        return await records.create(connection, kind, {"partner_id": world.partners["acme"], **arguments}, "request")


async def task(world: World, task_id: UUID) -> Task:
    async with transaction(world.engine, readonly=True) as connection:
        row = await records.read(connection, task_id)
    assert row is not None
    return row


async def due(world: World) -> list[UUID]:
    async with transaction(world.engine, readonly=True) as connection:
        return await records.due(connection)


async def closing_task(world: World) -> UUID:
    async with transaction(world.engine, readonly=True) as connection:
        newest = await inbox.newest_waiting(connection)
    return await create(world, "close", period=202404, newest_waiting=newest)


async def close_as_well(world: World) -> None:
    world.oracle.close("acme", "2024-04")
    await world.check()
    async with transaction(world.engine) as connection:
        assert await connection.fetchval("SELECT closed_through FROM partners") == 202404
        assert await connection.fetchval("SELECT count(*) FROM billing_reports WHERE final") == 1


async def test_r11_closing_decides_what_was_accepted_before_and_writes_the_final_report(
    runtime: Runtime, world: World
) -> None:
    await world.accept(*distinct(12, APRIL, customer="ann", product="crm"))
    task_id = await closing_task(world)
    await RUNNER.run(runtime, task_id)
    row = await task(world, task_id)
    assert row.state == "done"
    assert row.result is not None
    assert (row.result["report_version"], row.result["periods"][0]["billed"]) == (1, "100.00")
    await close_as_well(world)


async def test_r11_closing_waits_for_a_batch_that_another_worker_has_claimed(runtime: Runtime, world: World) -> None:
    await world.accept(lead(customer="ann", product="crm"))
    task_id = await closing_task(world)
    async with transaction(world.engine) as connection:
        assert len(await inbox.claim(connection, 10)) == 1
        run = asyncio.create_task(RUNNER.run(runtime, task_id))
        await asyncio.sleep(0.4)
        assert not run.done()
        assert await connection.fetchval("SELECT closed_through FROM partners") is None
    await run
    await close_as_well(world)


async def test_r11_a_closing_that_the_rules_refuse_fails_with_the_reason(runtime: Runtime, world: World) -> None:
    task_id = await create(world, "close", period=209904, newest_waiting=0)
    await RUNNER.run(runtime, task_id)
    row = await task(world, task_id)
    assert (row.state, row.error) == ("failed", "April 2099 has not ended yet.")


async def test_r11_a_closing_killed_after_the_freeze_does_not_close_what_was_reopened_since(
    runtime: Runtime, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.accept(lead(customer="ann", product="crm"))
    task_id = await closing_task(world)

    async def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(snapshots, "snapshot", killed)
        with pytest.raises(Killed):
            await RUNNER.run(runtime, task_id)
    async with world.unit_of_work() as uow:
        await closing.reopen(uow, runtime.policies, world.partners["acme"], 202404)
    runtime.policies.clear()
    await RUNNER.run(runtime, task_id)
    assert (await task(world, task_id)).state == "done"
    async with transaction(runtime.engine, readonly=True) as connection:
        assert await connection.fetchval("SELECT closed_through FROM partners") is None


STEPS: dict[str, list[tuple[Any, str]]] = {
    "close": [
        (inbox, "waiting_up_to"),
        (inbox, "mark_done"),
        (reevaluation, "rejudge_some_stale"),
        (holds_at_close, "move_to_next_period"),
        (closing, "close"),
        (snapshots, "snapshot"),
        (records, "finish"),
    ],
    "reevaluate_stale": [
        (reevaluation, "stale_partners"),
        (reevaluation, "stale_customers"),
        (verdicts, "write"),
        (reevaluation, "rejudge_some_stale"),
        (reevaluation, "end"),
        (records, "finish"),
    ],
    "rebuild": [
        (rebuild, "customer_ranges"),
        (records, "create"),
        (records, "add_arguments"),
        (rebuild, "judge_range"),
        (verdicts, "write"),
        (records, "read_all"),
        (recount, "drift"),
        (recount, "correct"),
        (records, "finish"),
    ],
}


@pytest.mark.parametrize(("kind", "module", "step"), [(kind, *step) for kind, steps in STEPS.items() for step in steps])
@pytest.mark.parametrize("when", [pytest.param("before", marks=pytest.mark.slow), "after"])
async def test_a_task_killed_at_any_step_is_resumed(
    runtime: Runtime, world: World, monkeypatch: pytest.MonkeyPatch, kind: str, module: Any, step: str, when: str
) -> None:
    await world.send(*distinct(12, APRIL, customer="ann", product="crm"), lead("held", customer="bob", product="crm"))
    await world.hold(("", "held", "Click", "High", APRIL, 1))
    await world.accept(lead(customer="bob", product="crm"))
    if kind == "close":
        await world.terms("acme", "2024-04", cap="33.00")
        task_id = await closing_task(world)
    elif kind == "reevaluate_stale":
        await world.work()
        await world.terms("acme", "2024-04", cap="33.00")
        task_id = await create(world, kind)
    else:
        await world.work()
        task_id = await create(world, "rebuild", period=202404)
        await spoil(world)
    do = getattr(module, step)

    async def die(*arguments: Any, **named: Any) -> Any:
        if when == "before":
            raise Killed
        await do(*arguments, **named)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, step, die)
        with pytest.raises(Killed):
            await RUNNER.run(runtime, task_id)
    runtime.policies.clear()
    assert (await task(world, task_id)).finished_at is None or (step, when) == ("finish", "after")
    await RUNNER.run(runtime, task_id)
    assert (await task(world, task_id)).state == "done"
    await world.work()
    if kind == "close":
        await close_as_well(world)
    await world.check()


async def spoil(world: World) -> None:
    """Wrong verdicts and counters, for a rebuild to put right."""
    async with transaction(world.engine) as connection:
        await connection.execute("UPDATE actions SET billed_minor = 0, outcome = 'capped' WHERE outcome = 'billed'")
        await connection.execute("UPDATE customer_periods SET leads = leads + 1")
        await connection.execute("UPDATE product_periods SET checksum = checksum + 1")


async def test_a_rebuild_puts_right_what_differs_and_says_what_did(runtime: Runtime, world: World) -> None:
    await world.send(*distinct(3, APRIL, customer="ann", product="crm"))
    await spoil(world)
    task_id = await create(world, "rebuild", period=202404)
    await RUNNER.run(runtime, task_id)
    row = await task(world, task_id)
    assert (row.state, (row.result or {})["verdicts_corrected"]) == ("done", 3)
    shown = [
        (each["was"]["outcome"], each["is"]["outcome"], each["is"]["billed"])
        for each in (row.result or {})["differences"]
    ]
    assert shown == [("capped", "billed", "10.00")] * 3
    await world.check()


async def test_a_task_runs_once_at_a_time(runtime: Runtime, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.send(lead(customer="ann", product="crm"))
    task_id = await create(world, "rebuild", period=202404)
    runs, do = [], rebuild.judge_range

    async def slowly(*arguments: Any) -> rebuild.RangeResult:
        runs.append(1)
        await asyncio.sleep(0.2)
        return await do(*arguments)

    monkeypatch.setattr(rebuild, "judge_range", slowly)
    await asyncio.gather(RUNNER.run(runtime, task_id), RUNNER.run(runtime, task_id))
    await RUNNER.run(runtime, task_id)
    assert runs == [1]


async def test_a_transient_error_leaves_the_task_for_the_sweeper(
    runtime: Runtime, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await create(world, "rebuild", period=202404)

    async def fail(*_: Any) -> None:
        raise asyncpg.DeadlockDetectedError

    with monkeypatch.context() as patch:
        patch.setattr(rebuild, "customer_ranges", fail)
        await RUNNER.run(runtime, task_id)
    assert await due(world) == []  # its message may still come
    async with transaction(world.engine) as connection:
        await connection.execute("UPDATE tasks SET created_at = created_at - interval '6 s'")
    assert await due(world) == []  # it waits as long as a sweep
    async with transaction(world.engine) as connection:
        await connection.execute("UPDATE tasks SET next_attempt_at = next_attempt_at - interval '2 s'")
    assert await due(world) == [task_id]
    await RUNNER.run(runtime, task_id)
    assert await due(world) == []


async def test_an_unexpected_error_fails_the_task_and_says_so(
    runtime: Runtime, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.send(lead(customer="ann", product="crm"))
    task_id = await create(world, "rebuild", period=202404)

    async def fail(*_: Any) -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr(rebuild, "judge_range", fail)
    await RUNNER.run(runtime, task_id)
    row = await task(world, task_id)
    assert (row.state, row.error) == ("failed", "An unexpected error: ZeroDivisionError('surprise')")
    async with transaction(runtime.engine, readonly=True) as connection:
        assert await counters.one(connection, "task_failures") == 1


async def test_the_sweeper_decides_what_no_message_came_for(runtime: Runtime, world: World) -> None:
    await world.accept(*distinct(30, APRIL, customer="ann", product="crm"), chunk_leads=1)
    await leads.empty_inbox(runtime)
    await empty_quarantine(runtime)
    await world.check()


async def test_the_sweeper_tries_again_after_a_transient_error(
    runtime: Runtime, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.accept(*distinct(3, APRIL, customer="ann", product="crm"))
    write, faults = verdicts.write, [asyncpg.DeadlockDetectedError, asyncpg.SerializationError]

    async def fail_twice(connection: asyncpg.Connection, cases: Any) -> None:
        if faults:
            raise faults.pop()
        await write(connection, cases)

    monkeypatch.setattr(verdicts, "write", fail_twice)
    while not await leads.empty_inbox(runtime):
        pass  # a slow machine needs a second time slice
    await world.check()


async def test_r16_changes_that_come_while_the_task_runs_are_its_own(
    runtime: Runtime, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty rules for many partners are one task, and it ends only when nobody is stale."""
    for number in range(6):
        await world.partner(f"partner {number}")
        await world.product(f"product {number}", f"partner {number}")
    for number in range(6):
        await world.send(*(lead(customer=name, product=f"product {number}") for name in ("ann", "bob")))
    for number in range(20):
        await world.rate("3.00", action_type=f"Type {number}")
    judged: list[Any] = []
    rejudge = reevaluation.rejudge_some_stale

    async def noted(*arguments: Any) -> Any:
        if len(judged) == 1:
            await world.rate("4.00", action_type="Click")
        judged.append(await rejudge(*arguments))
        return judged[-1]

    monkeypatch.setattr(reevaluation, "rejudge_some_stale", noted)
    async with transaction(runtime.engine, readonly=True) as connection:
        ids = [row["id"] for row in await connection.fetch("SELECT id FROM tasks WHERE kind = 'reevaluate_stale'")]
    assert len(ids) == 1
    await RUNNER.run(runtime, ids[0])
    done = await task(world, ids[0])
    assert (done.state, done.result) == ("done", {"customers": 24})
    assert sorted(len(some) for some in judged if some) == [12, 12]
    await world.check()
