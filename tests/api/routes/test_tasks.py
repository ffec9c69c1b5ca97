"""Background tasks as operators see them: which there are, how often each was tried and who asked for it."""

from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.wire import instant_out
from db.core.actor import Actor, ActorKind
from db.core.engine import transaction
from db.core.unit_of_work import Message, unit_of_work
from db.tasks import records
from tests.api.world import check_problem, get, get_all

ANN = Actor(ActorKind.KEY, UUID(int=7), "Ann's key")


def _send_nothing(_: Message, __: str) -> None:
    return


async def _start(engine: AsyncEngine, kind: str = "close", actor: Actor = ANN) -> UUID:
    async with unit_of_work(engine, _send_nothing, actor=actor, request_id="r-1") as uow:
        return await records.start(uow, kind, {})


async def test_a_task_says_who_asked_how_often_it_was_tried_and_when_it_is_tried_next(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    task_id = await _start(engine)
    async with transaction(engine) as connection:
        await records.begin(connection, task_id)
        await records.retry_later(connection, task_id, "The disk is full", 60)
        task = await records.read(connection, task_id)
    assert task is not None
    assert task.next_attempt_at is not None
    assert timedelta(0) < task.next_attempt_at - task.created_at < timedelta(seconds=90)
    shown = await get(client, f"/api/tasks/{task_id}")
    assert shown["next_attempt_at"] == instant_out(task.next_attempt_at)
    names = ("kind", "state", "attempts", "last_error", "error", "result", "requested_by", "finished_at")
    asked_by = {"kind": "key", "name": "Ann's key"}
    assert [shown[name] for name in names] == ["close", "running", 1, "The disk is full", None, None, asked_by, None]


async def test_what_an_older_release_started_names_nobody(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    task_id = await _start(engine)
    async with transaction(engine) as connection:
        await connection.execute(
            "UPDATE tasks SET requested_by_kind = NULL, requested_by_id = NULL, requested_by_name = NULL"
        )
    assert (await get(client, f"/api/tasks/{task_id}"))["requested_by"] is None


async def test_tasks_are_listed_newest_first_page_by_page_without_the_parts_of_others(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    started = [str(await _start(engine, kind)) for kind in ("close", "rebuild", "close", "rebuild", "close")]
    async with transaction(engine) as connection:
        await records.create(connection, "rebuild_range", {}, "r-1", parent_id=UUID(started[1]))
        await records.finish(connection, UUID(started[0]), {})
    seen = [task["task_id"] for task in await get_all(client, "/api/tasks", limit=2)]
    assert seen == started[::-1]
    for filters, expected in (
        ({"state": "done"}, started[:1]),
        ({"kind": "rebuild"}, [started[3], started[1]]),
        ({"state": "waiting", "kind": "close"}, [started[4], started[2]]),
        ({"kind": "nothing"}, []),
    ):
        page = await get(client, "/api/tasks", **filters)
        assert ([task["task_id"] for task in page["items"]], page["next"]) == (expected, None)


async def test_a_list_of_tasks_leaves_long_results_out_and_says_so(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    short, long = {"released": 3}, {"differences": ["x" * 100] * 100}
    ids = [str(await _start(engine)) for _ in range(3)]
    async with transaction(engine) as connection:
        await records.finish(connection, UUID(ids[0]), short)
        await records.finish(connection, UUID(ids[1]), long)
    listed = {each["task_id"]: each for each in (await get(client, "/api/tasks"))["items"]}
    shown = [await get(client, f"/api/tasks/{task_id}") for task_id in ids]
    assert [(listed[i]["result"], listed[i]["result_left_out"]) for i in ids] == [
        (short, False),
        (None, True),
        (None, False),
    ]
    assert [(each["result"], each["result_left_out"]) for each in shown] == [
        (short, False),
        (long, False),
        (None, False),
    ]


async def test_a_list_of_tasks_that_cannot_be(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for query in ("state=over", "after=x", "limit=0", "state=done&state=failed"):
        with subtests.test(query):
            check_problem(await client.get(f"/api/tasks?{query}"), 400)
