"""What follows from how an attempt of a background task ends."""

import queue
from collections.abc import Callable
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from billing.errors import InvalidValue
from billing.rates import UnpricedAction
from db.core.engine import transaction
from db.core.errors import FileUnavailable, MailUnavailable
from db.core.unit_of_work import Message
from db.tasks import records
from db.tasks.notifications import RUN_TASK
from db.tasks.pauses import Paused
from db.telemetry import counters
from tests.worker.test_background import Killed
from worker.runner import Attempt, Handler, Kind, Runner, SubtaskFailed, TurnOver, retry_delay_s
from worker.runtime import Runtime
from worker.task_kinds import RUNNER


async def create(runtime: Runtime, kind: str = "test") -> UUID:
    async with transaction(runtime.engine) as connection:
        return await records.create(connection, kind, {}, "request")


async def row(runtime: Runtime, task_id: UUID) -> asyncpg.Record:
    async with transaction(runtime.engine, readonly=True) as connection:
        found = await connection.fetchrow(
            "SELECT *, extract(epoch FROM next_attempt_at - clock_timestamp())::float8 AS delay_s FROM tasks"
            " WHERE id = $1",
            task_id,
        )
    assert found is not None
    return found


async def failures(runtime: Runtime) -> int:
    async with transaction(runtime.engine, readonly=True) as connection:
        return await counters.one(connection, "task_failures")


def failing(*errors: BaseException | None) -> Handler:
    """Ends its attempts with these errors, then with none."""
    ends = iter(errors)

    async def handler(_: Attempt) -> dict[str, Any]:
        if error := next(ends, None):
            raise error
        return {"answer": 42}

    return handler


@pytest.mark.parametrize(
    "error", [asyncpg.DeadlockDetectedError("dead"), FileUnavailable("full"), TimeoutError("late")]
)
async def test_transient_errors_delay_the_next_attempt_and_never_end_the_task(
    runtime: Runtime, error: Exception
) -> None:
    runner = Runner([Kind("test", failing(error, error))])
    task_id = await create(runtime)
    for attempt, longest_s in ((1, 2.0), (2, 4.0)):
        assert not await runner.run(runtime, task_id)
        found = await row(runtime, task_id)
        assert (found["state"], found["attempts"], found["error"]) == ("running", attempt, None)
        assert found["last_error"] == repr(error)
        assert longest_s / 2 - 0.5 < found["delay_s"] <= longest_s
    assert await runner.run(runtime, task_id)
    found = await row(runtime, task_id)
    assert (found["state"], found["attempts"], found["next_attempt_at"]) == ("done", 3, None)
    assert await failures(runtime) == 0


async def test_a_refusal_fails_the_task_with_its_message(runtime: Runtime) -> None:
    task_id = await create(runtime)
    assert await Runner([Kind("test", failing(InvalidValue("no")), max_failures=5)]).run(runtime, task_id)
    found = await row(runtime, task_id)
    assert (found["state"], found["attempts"], found["error"]) == ("failed", 1, "no")
    assert await failures(runtime) == 0


async def test_a_damaged_rate_card_is_a_fault_of_ours_and_counted(runtime: Runtime) -> None:
    task_id = await create(runtime)
    assert await Runner([Kind("test", failing(UnpricedAction("no rate")))]).run(runtime, task_id)
    found = await row(runtime, task_id)
    assert (found["state"], found["error"]) == ("failed", "An unexpected error: UnpricedAction('no rate')")
    assert await failures(runtime) == 1


async def test_a_failed_subtask_fails_its_task_with_the_same_message_and_is_counted_once(runtime: Runtime) -> None:
    task_id = await create(runtime)
    assert await Runner([Kind("test", failing(SubtaskFailed("An unexpected error: no")))]).run(runtime, task_id)
    found = await row(runtime, task_id)
    assert (found["state"], found["error"]) == ("failed", "An unexpected error: no")
    assert await failures(runtime) == 0  # the attempt of the subtask has counted it


async def test_a_kind_may_allow_several_unexpected_errors(runtime: Runtime) -> None:
    runner = Runner([Kind("test", failing(*[ZeroDivisionError("surprise")] * 3), max_failures=3)])
    task_id = await create(runtime)
    for attempt in (1, 2):
        assert not await runner.run(runtime, task_id)
        found = await row(runtime, task_id)
        assert (found["state"], found["attempts"], found["error"]) == ("running", attempt, None)
    assert await runner.run(runtime, task_id)
    found = await row(runtime, task_id)
    message = "An unexpected error: ZeroDivisionError('surprise')"
    assert (found["state"], found["attempts"], found["error"]) == ("failed", 3, message)
    assert await failures(runtime) == 3


async def test_a_table_that_is_missing_for_a_moment_ends_no_task(runtime: Runtime) -> None:
    """Failed before: the task had failed for good."""
    missing = asyncpg.UndefinedTableError('relation "partners" does not exist')
    task_id = await create(runtime)
    runner = Runner([Kind("test", failing(missing, missing))])
    for attempt in (1, 2):
        assert not await runner.run(runtime, task_id)
        found = await row(runtime, task_id)
        assert (found["state"], found["attempts"], found["error"]) == ("running", attempt, None)
        assert (found["last_error"], found["delay_s"] > 0) == (repr(missing), True)
    assert await runner.run(runtime, task_id)
    assert (await row(runtime, task_id))["result"] == {"answer": 42}
    assert await failures(runtime) == 2


async def test_what_the_environment_ends_uses_up_no_failure(runtime: Runtime) -> None:
    """Failed before: after two deadlocks nothing was left of two attempts."""
    ends = asyncpg.DeadlockDetectedError("dead"), TimeoutError("late"), ZeroDivisionError("surprise"), None
    task_id = await create(runtime)
    runner = Runner([Kind("test", failing(*ends), max_failures=2)])
    assert [await runner.run(runtime, task_id) for _ in ends] == [False, False, False, True]
    assert (await row(runtime, task_id))["result"] == {"answer": 42}


async def test_a_pause_costs_no_attempt(runtime: Runtime) -> None:
    task_id = await create(runtime)
    assert not await Runner([Kind("test", failing(Paused()))]).run(runtime, task_id)
    found = await row(runtime, task_id)
    assert (found["state"], found["attempts"], found["next_attempt_at"]) == ("waiting", 0, None)


async def test_a_task_whose_turn_is_over_is_announced_once_its_lock_is_free(
    runtime: Runtime, sent: "queue.Queue[Message]"
) -> None:
    task_id = await create(runtime)
    runner = Runner([Kind("test", failing(TurnOver()))])
    assert not await runner.run(runtime, task_id)
    found = await row(runtime, task_id)
    assert (found["state"], found["attempts"], found["next_attempt_at"]) == ("waiting", 0, None)
    assert (sent.get_nowait(), sent.empty()) == (Message(RUN_TASK, (str(task_id),)), True)
    assert await runner.run(runtime, task_id)
    assert (await row(runtime, task_id))["result"] == {"answer": 42}


async def test_a_killed_attempt_counts_and_the_next_one_may_follow_at_once(runtime: Runtime) -> None:
    runner = Runner([Kind("test", failing(Killed()))])
    task_id = await create(runtime)
    with pytest.raises(Killed):
        await runner.run(runtime, task_id)
    found = await row(runtime, task_id)
    assert (found["state"], found["attempts"], found["next_attempt_at"]) == ("running", 1, None)
    assert await runner.run(runtime, task_id)
    assert (await row(runtime, task_id))["result"] == {"answer": 42}


async def test_a_kind_that_this_release_does_not_know_is_left_to_one_that_does(runtime: Runtime) -> None:
    task_id = await create(runtime, "of tomorrow")
    assert not await RUNNER.run(runtime, task_id)
    found = await row(runtime, task_id)
    assert (found["state"], found["error"]) == ("running", None)


@pytest.mark.parametrize(
    ("attempts", "shortest", "longest"),
    [(1, 1.0, 2.0), (2, 2.0, 4.0), (4, 8.0, 16.0), (5, 15.0, 30.0), (999, 15.0, 30.0)],
)
def test_delays_double_up_to_half_a_minute(attempts: int, shortest: float, longest: float) -> None:
    def least(low: float, _: float) -> float:
        return low

    def most(_: float, high: float) -> float:
        return high

    jitters: list[Callable[[float, float], float]] = [least, most]
    assert [retry_delay_s(attempts, 2.0, jitter) for jitter in jitters] == [shortest, longest]


async def test_a_kind_may_want_longer_delays(runtime: Runtime) -> None:
    runner = Runner([Kind("test", failing(MailUnavailable("away")), longest_delay_s=900.0)])
    task_id = await create(runtime)
    async with transaction(runtime.engine) as connection:
        await connection.execute("UPDATE tasks SET attempts = 20 WHERE id = $1", task_id)
    assert not await runner.run(runtime, task_id)
    assert 449 < (await row(runtime, task_id))["delay_s"] <= 900


async def test_files_of_bills_are_tried_again_after_an_unexpected_error(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise ZeroDivisionError

    task_id = await create(runtime, "bill_files")
    monkeypatch.setattr("db.bills.records.read", fail)
    async with transaction(runtime.engine) as connection:
        await connection.execute(
            "UPDATE tasks SET arguments = jsonb_build_object('bill_id', id) WHERE id = $1", task_id
        )
    assert not await RUNNER.run(runtime, task_id)
    assert (await row(runtime, task_id))["state"] == "running"
