"""A rebuild is divided into subtasks, which two processes run at once; either can be killed."""

import asyncio
import contextlib
import queue
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import create_engine, transaction
from db.core.settings import Settings
from db.core.unit_of_work import Message
from db.ledger import rebuild, recount, verdicts
from db.tasks.notifications import RUN_SUBTASKS, RUN_TASK
from db.tasks.records import Progress
from tests.builders import distinct
from tests.worker.test_background import APRIL, Killed, create, due, spoil, task
from tests.world import World
from worker import process
from worker.leads_first import leads_before_each_step
from worker.runner import Attempt
from worker.runtime import Runtime, create_runtime
from worker.task_kinds import RUNNER
from worker.tasks import background, rebuilding

PEOPLE = ("ann", "bob", "cleo", "dan", "eve", "fay")


@pytest.fixture
async def helper(runtime: Runtime) -> AsyncIterator[Runtime]:
    """What another process of the worker has."""
    helper = create_runtime(runtime.settings)
    yield helper
    await helper.engine.dispose()


@pytest.fixture
async def task_id(world: World, monkeypatch: pytest.MonkeyPatch) -> UUID:
    """A rebuild of wrong verdicts and counters, with one customer to a subtask."""
    for person in PEOPLE:
        if person not in ("ann", "bob"):
            await world.customer(person, f"{person}@example.com")
        await world.send(*distinct(2, APRIL, customer=person, product="crm"))
    await spoil(world)
    monkeypatch.setattr(rebuild, "ACTIONS_PER_RANGE", 2)
    return await create(world, "rebuild", period=202404)


async def subtask_ids(world: World) -> list[UUID]:
    async with transaction(world.engine, readonly=True) as connection:
        rows = await connection.fetch(
            "SELECT id FROM tasks WHERE kind IN ('rebuild_range', 'rebuild_share') ORDER BY arguments ->> 'first'"
        )
    return [row["id"] for row in rows]


async def check_all_is_right(world: World, task_id: UUID) -> None:
    row = await task(world, task_id)
    assert (row.state, row.done, row.total) == ("done", len(PEOPLE), len(PEOPLE))
    judged = {name: (row.result or {})[name] for name in ("customers", "actions", "verdicts_corrected")}
    assert judged == {"customers": 6, "actions": 12, "verdicts_corrected": 12}
    assert len({each["action_id"] for each in (row.result or {})["differences"]}) == 12
    assert len(await subtask_ids(world)) == len(PEOPLE)
    await world.check()


async def die(*_: Any) -> None:
    raise Killed


async def run_nothing(_: UUID) -> bool:
    return False


async def test_two_processes_take_the_subtasks_from_both_ends(
    runtime: Runtime,
    helper: Runtime,
    world: World,
    task_id: UUID,
    sent: "queue.Queue[Message]",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[tuple[AsyncEngine, UUID]] = []
    judge, both = rebuild.judge_range, asyncio.Barrier(2)

    async def help_when_asked() -> None:
        ids = (await asyncio.to_thread(sent.get)).arguments
        while await background.run_last_free(helper, ids):  # as its message comes again and again
            pass

    async def side_by_side(engine: AsyncEngine, *more: Any) -> rebuild.RangeResult:
        taken.append((engine, more[3].first))
        await asyncio.wait_for(both.wait(), 10)
        return await judge(engine, *more)

    with monkeypatch.context() as patch:
        patch.setattr(rebuild, "judge_range", side_by_side)
        await asyncio.gather(RUNNER.run(runtime, task_id), help_when_asked())
    by_runtime, by_helper = ([first for engine, first in taken if engine is at.engine] for at in (runtime, helper))
    assert (len(by_runtime), len(by_helper)) == (3, 3)
    assert by_runtime + by_helper[::-1] == sorted([*by_runtime, *by_helper])
    await check_all_is_right(world, task_id)


async def test_a_rebuild_lets_late_leads_go_first(
    runtime: Runtime, world: World, task_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: only the task for stale customers gave way to leads."""
    giving_way: list[Runtime] = []

    def noted(runtime: Runtime, progress: Progress) -> Progress:
        giving_way.append(runtime)
        return leads_before_each_step(runtime, progress)

    monkeypatch.setattr(rebuilding, "leads_before_each_step", noted)
    monkeypatch.setattr(rebuilding, "TURN_S", 60.0)
    await RUNNER.run(runtime, task_id)
    assert giving_way == [runtime] * len(PEOPLE)
    await check_all_is_right(world, task_id)


async def test_a_long_rebuild_lets_what_waits_go_first_and_goes_on_where_it_was(
    runtime: Runtime, world: World, task_id: UUID, sent: "queue.Queue[Message]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: whoever asked for a closing in the meantime waited for the whole rebuild."""
    counted: list[int] = []
    count = rebuild.correct_counters

    async def counting(*more: Any) -> int:
        if len(more) == 5:  # not because a counter would fall below zero: that one remembers nothing
            counted.append(more[3])
        return await count(*more)

    monkeypatch.setattr(rebuild, "correct_counters", counting)
    monkeypatch.setattr(rebuilding, "TURN_S", 0.0)
    again = Message(RUN_TASK, (str(task_id),))
    for done in range(1, len(PEOPLE)):
        assert not await RUNNER.run(runtime, task_id)
        row = await task(world, task_id)
        assert (row.state, row.done, row.total, row.attempts) == ("waiting", done, len(PEOPLE), 0)
        messages = []
        while not sent.empty():
            messages.append(sent.get())
        assert [message for message in messages if message.task != RUN_SUBTASKS] == [again]
        other = await create(world, "rebuild", period=202405)  # as the queue has it: before the rebuild's own message
        assert await RUNNER.run(runtime, other)
    assert await RUNNER.run(runtime, task_id)
    assert (sent.empty(), counted.count(202404)) == (True, 1)
    await check_all_is_right(world, task_id)


async def test_a_subtask_whose_process_is_killed_is_run_all_the_same(
    runtime: Runtime, helper: Runtime, world: World, task_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = asyncio.Event()

    async def help_and_die(ids: tuple[str, ...]) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(verdicts, "write", die)
            with pytest.raises(Killed):
                await background.run_last_free(helper, ids)
        killed.set()

    create_subtasks = rebuilding.create_subtasks

    async def create_and_have_a_helper_killed(attempt: Attempt) -> list[UUID]:
        subtask_ids = await create_subtasks(attempt)
        await help_and_die(tuple(map(str, subtask_ids)))
        return subtask_ids

    monkeypatch.setattr(rebuilding, "create_subtasks", create_and_have_a_helper_killed)
    await RUNNER.run(runtime, task_id)
    assert killed.is_set()
    await check_all_is_right(world, task_id)


async def test_what_killed_attempts_corrected_is_in_the_result(
    runtime: Runtime, world: World, task_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: the attempt that ended well found nothing to correct any more, and said so."""
    judge, count, killed = rebuild.judge_range, rebuild.correct_counters, list[str]()

    async def judge_and_die(*arguments: Any) -> rebuild.RangeResult:
        result = await judge(*arguments)
        if killed.count("judging") < len(PEOPLE):
            killed.append("judging")
            raise Killed
        return result

    async def count_and_die(*arguments: Any) -> int:
        corrected = await count(*arguments)
        if "counting" not in killed:
            killed.append("counting")
            raise Killed
        return corrected

    monkeypatch.setattr(rebuild, "judge_range", judge_and_die)
    monkeypatch.setattr(rebuild, "correct_counters", count_and_die)
    while not (await task(world, task_id)).is_finished:
        with contextlib.suppress(Killed):
            await RUNNER.run(runtime, task_id)
    assert killed.count("judging") == len(PEOPLE)
    assert ((await task(world, task_id)).result or {})["counters_corrected"] > 0
    await check_all_is_right(world, task_id)


async def test_the_sweeper_leaves_the_subtasks_to_the_rebuild(
    runtime: Runtime, world: World, task_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(rebuild, "judge_range", die)
        with pytest.raises(Killed):
            await RUNNER.run(runtime, task_id)
    assert len(await subtask_ids(world)) == len(PEOPLE)
    async with transaction(world.engine) as connection:
        await connection.execute("UPDATE tasks SET created_at = created_at - interval '6 s'")
    assert await due(world) == [task_id]
    await RUNNER.run(runtime, task_id)
    await check_all_is_right(world, task_id)


async def test_a_subtask_that_fails_fails_the_rebuild_with_its_error(
    runtime: Runtime, world: World, task_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr(rebuild, "judge_range", fail)
    await RUNNER.run(runtime, task_id)
    for each in (task_id, *await subtask_ids(world)):
        row = await task(world, each)
        assert (row.state, row.error) == ("failed", "An unexpected error: ZeroDivisionError('surprise')")


async def test_a_transient_error_in_a_subtask_leaves_the_rebuild_for_the_sweeper(
    runtime: Runtime, world: World, task_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise asyncpg.DeadlockDetectedError

    with monkeypatch.context() as patch:
        patch.setattr(rebuild, "judge_range", fail)
        assert not await RUNNER.run(runtime, task_id)
    assert (await task(world, task_id)).finished_at is None
    assert await RUNNER.run(runtime, task_id)
    await check_all_is_right(world, task_id)


async def test_help_is_asked_for_once(
    runtime: Runtime, world: World, task_id: UUID, sent: "queue.Queue[Message]", monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(rebuild, "judge_range", die)
        with pytest.raises(Killed):
            await RUNNER.run(runtime, task_id)
    await RUNNER.run(runtime, task_id)
    message = sent.get_nowait()
    assert (message.task, len(message.arguments)) == (RUN_SUBTASKS, len(PEOPLE))
    assert sent.empty()


async def test_the_checksum_of_a_long_month_is_not_cut_off(
    settings: Settings, runtime: Runtime, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One statement reads all lines of a month, for longer than any other one may take."""
    await world.send(*distinct(2, APRIL, customer="ann", product="crm"))
    impatient = create_engine(settings.model_copy(update={"database_command_timeout_s": 0.2}), "impatient")
    slow = recount.VERDICT_LINES.replace("FROM actions", "FROM (SELECT pg_sleep(0.3)) AS pause, actions")
    monkeypatch.setattr(recount, "VERDICT_LINES", slow)
    try:
        assert await rebuild.correct_counters(impatient, runtime.policies, world.partners["acme"], 202404) == 0
    finally:
        await impatient.dispose()


@pytest.mark.parametrize(("is_one_free", "expected"), [(True, [Message(RUN_SUBTASKS, ("a", "b"))]), (False, [])])
def test_a_helper_asks_for_the_next_subtask_by_a_message_of_its_own(
    monkeypatch: pytest.MonkeyPatch, is_one_free: bool, expected: list[Message]
) -> None:
    """So that other background tasks pass."""
    sent: list[Message] = []
    monkeypatch.setattr(process, "run", lambda _: is_one_free)
    monkeypatch.setattr(background, "follow_up", lambda _, task, *ids: sent.append(Message(task, ids)))
    background.run_subtasks("a", "b")
    assert sent == expected


async def test_a_rebuild_that_an_older_release_began_goes_on_with_its_own_subtasks(
    runtime: Runtime, world: World, task_id: UUID
) -> None:
    """0.2.0 called the kind `rebuild_share` and the argument `shares`."""
    attempt = Attempt(runtime, await task(world, task_id), die, run_nothing)
    before = await rebuilding.create_subtasks(attempt)
    async with transaction(world.engine) as connection:
        await connection.execute("UPDATE tasks SET kind = 'rebuild_share' WHERE parent_id = $1", task_id)
        await connection.execute(
            "UPDATE tasks SET arguments = arguments - 'subtask_ids'"
            " || jsonb_build_object('shares', arguments -> 'subtask_ids') WHERE id = $1",
            task_id,
        )
    await RUNNER.run(runtime, task_id)
    await check_all_is_right(world, task_id)
    assert sorted(await subtask_ids(world)) == sorted(before)


async def test_nothing_to_judge_is_no_subtask(runtime: Runtime, world: World) -> None:
    task_id = await create(world, "rebuild", period=202405)
    await RUNNER.run(runtime, task_id)
    row = await task(world, task_id)
    assert (row.state, (row.result or {})["customers"]) == ("done", 0)
    assert await subtask_ids(world) == []
