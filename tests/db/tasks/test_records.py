"""Background tasks as rows: what is due, what is found again by its key, what is deleted."""

import asyncio
from contextlib import suppress
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.actor import Actor, ActorKind
from db.core.engine import transaction
from db.core.unit_of_work import Message, unit_of_work
from db.tasks import records
from db.tasks.notifications import RUN_TASK

ACTOR = Actor(ActorKind.KEY, uuid4(), "ops")


class Sent(list[tuple[Message, str]]):
    """What was published, and for which request."""

    def publish(self, message: Message, request_id: str) -> None:
        self.append((message, request_id))


@pytest.fixture
def sent() -> Sent:
    return Sent()


async def start(engine: AsyncEngine, sent: Sent, kind: str = "rebuild", dedup_key: str | None = None) -> UUID:
    async with unit_of_work(engine, sent.publish, actor=ACTOR, request_id="request") as uow:
        return await records.start(uow, kind, {"period": 202404}, dedup_key=dedup_key)


async def finish(engine: AsyncEngine, task_id: UUID) -> None:
    async with transaction(engine) as connection:
        await records.finish(connection, task_id, {})


async def test_a_task_says_who_asked_for_it_and_is_announced(engine: AsyncEngine, sent: Sent) -> None:
    task_id = await start(engine, sent)
    assert sent == [(Message(RUN_TASK, (str(task_id),)), "request")]
    async with transaction(engine, readonly=True) as connection:
        row = await connection.fetchrow("SELECT * FROM tasks")
        task = await records.read(connection, task_id)
    assert row is not None
    assert [row[f"requested_by_{name}"] for name in ("kind", "id", "name")] == ["key", ACTOR.id, "ops"]
    assert task is not None
    assert (task.kind, task.arguments, task.request_id) == ("rebuild", {"period": 202404}, "request")
    assert (task.state, task.attempts, task.done, task.total) == ("waiting", 0, 0, 0)
    assert not task.is_finished


async def test_an_unfinished_task_with_the_same_key_is_announced_again(engine: AsyncEngine, sent: Sent) -> None:
    first = await start(engine, sent, dedup_key="acme")
    assert await start(engine, sent, dedup_key="acme") == first
    assert [message.arguments for message, _ in sent] == [(str(first),)] * 2
    assert await start(engine, sent, dedup_key="other") != first
    assert await start(engine, sent, "close", dedup_key="acme") != first
    assert await start(engine, sent) != await start(engine, sent)
    await finish(engine, first)
    assert await start(engine, sent, dedup_key="acme") != first


async def test_of_two_requests_at_once_one_starts_the_task(engine: AsyncEngine, sent: Sent) -> None:
    async with unit_of_work(engine, sent.publish) as uow:
        first = await records.start(uow, "rebuild", {}, dedup_key="acme")
        second = asyncio.create_task(start(engine, sent, dedup_key="acme"))
        await asyncio.sleep(0.2)
        assert not second.done()
    assert await asyncio.wait_for(second, 5) == first


async def test_a_task_whose_twin_is_rolled_back_is_started(engine: AsyncEngine, sent: Sent) -> None:
    with suppress(ZeroDivisionError):
        async with unit_of_work(engine, sent.publish) as uow:
            first = await records.start(uow, "rebuild", {}, dedup_key="acme")
            raise ZeroDivisionError
    assert sent == []
    assert await start(engine, sent, dedup_key="acme") != first


async def test_a_task_is_due_once_its_message_should_have_come(engine: AsyncEngine, sent: Sent) -> None:
    task_id = await start(engine, sent)
    async with transaction(engine) as connection:
        assert await records.due(connection) == []
        await age(connection, "created_at = created_at - interval '6 s'")
        assert await records.due(connection) == [task_id]
        subtask_id = await records.create(connection, "rebuild_range", {}, "request", parent_id=task_id)
        await age(connection, "created_at = created_at - interval '6 s'")
        assert await records.due(connection) == [task_id]
        await records.fail(connection, [task_id, subtask_id], "no")
        assert await records.due(connection) == []


async def test_after_an_error_a_task_is_due_when_its_delay_is_over(engine: AsyncEngine, sent: Sent) -> None:
    task_id = await start(engine, sent)
    async with transaction(engine) as connection:
        await age(connection, "created_at = created_at - interval '6 s'")
        await records.begin(connection, task_id)
        await records.report_progress(connection, task_id, 3, 9)
        await records.retry_later(connection, task_id, "the disk is full", 60)
        assert await records.due(connection) == []
        await age(connection, "next_attempt_at = next_attempt_at - interval '61 s'")
        assert await records.due(connection) == [task_id]
        await records.begin(connection, task_id)
        task = await records.read(connection, task_id)
        assert task is not None
        assert (task.state, task.attempts, task.done, task.total, task.error) == ("running", 2, 0, 9, None)
        assert await connection.fetchval("SELECT last_error FROM tasks") == "the disk is full"
        await records.requeue(connection, task_id)
        task = await records.read(connection, task_id)
        assert task is not None
        assert (task.state, task.attempts) == ("waiting", 1)


async def test_tasks_that_finished_long_ago_are_deleted_with_their_subtasks(engine: AsyncEngine, sent: Sent) -> None:
    old, unfinished, recent = [await start(engine, sent) for _ in range(3)]
    async with transaction(engine) as connection:
        for parent_id in (old, unfinished, recent):
            subtask_id = await records.create(connection, "rebuild_range", {}, "request", parent_id=parent_id)
            await records.finish(connection, subtask_id, {})
        await records.finish(connection, old, {})
        await age(connection, "finished_at = finished_at - interval '91 days' WHERE finished_at IS NOT NULL")
        await records.finish(connection, recent, {})
        assert await records.delete_finished(connection, 90, 1000) == 1
        left = await connection.fetch("SELECT coalesce(parent_id, id) AS id, count(*) FROM tasks GROUP BY 1")
    assert {row["id"]: row["count"] for row in left} == {unfinished: 2, recent: 2}


async def age(connection: asyncpg.Connection, change: str) -> None:
    await connection.execute(f"UPDATE tasks SET {change}")
