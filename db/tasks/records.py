"""Background tasks with progress: the row is the task, the message only says that it is there."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec

from db.core.unit_of_work import UnitOfWork
from db.tasks.notifications import RUN_TASK

REBUILD_SUBTASK = "rebuild_share"
"""The kind of tasks that are part of another one: whoever runs that one takes them up."""

Progress = Callable[[int, int], Awaitable[None]]
"""Tells how much of a task is done, and of how much."""

_json = msgspec.json.Encoder().encode


async def start(uow: UnitOfWork, kind: str, arguments: Mapping[str, Any]) -> UUID:
    """Put a task on record and announce it after the commit; returns its id."""
    task_id = await create(uow.connection, kind, arguments, uow.request_id)
    uow.notify(RUN_TASK, str(task_id))
    return task_id


async def create(
    connection: asyncpg.Connection, kind: str, arguments: Mapping[str, Any], request_id: str, total: int = 0
) -> UUID:
    """Put a task on record, with how much there is to do if that is known; ring for it after the commit."""
    task_id = uuid4()
    await connection.execute(
        "INSERT INTO tasks (id, kind, arguments, request_id, total) VALUES ($1, $2, $3, $4, $5)",
        task_id,
        kind,
        _json(arguments).decode(),
        request_id,
        total,
    )
    return task_id


async def read(connection: asyncpg.Connection, task_id: UUID) -> asyncpg.Record | None:
    """One task."""
    return await connection.fetchrow("SELECT * FROM tasks WHERE id = $1", task_id)


async def read_all(connection: asyncpg.Connection, task_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """Some tasks, in the order given."""
    return await connection.fetch(
        """
        SELECT tasks.* FROM unnest($1::uuid[]) WITH ORDINALITY AS wanted (id, place) JOIN tasks USING (id)
        ORDER BY place
        """,
        task_ids,
    )


async def progress_of_all(connection: asyncpg.Connection, task_ids: Sequence[UUID]) -> tuple[int, int]:
    """How much of some tasks is done, and of how much."""
    row = await connection.fetchrow(
        "SELECT coalesce(sum(done), 0)::bigint, coalesce(sum(total), 0)::bigint FROM tasks WHERE id = ANY($1::uuid[])",
        task_ids,
    )
    assert row is not None
    return row[0], row[1]


async def report_progress(connection: asyncpg.Connection, task_id: UUID, done: int, total: int) -> None:
    """Say how far a running task is."""
    await connection.execute(
        "UPDATE tasks SET state = 'running', done = $2, total = $3 WHERE id = $1 AND finished_at IS NULL",
        task_id,
        done,
        total,
    )


async def remember(connection: asyncpg.Connection, task_id: UUID, more: Mapping[str, Any]) -> None:
    """Add to the arguments of a task what it must know if it is killed and started again."""
    await connection.execute(
        "UPDATE tasks SET arguments = arguments || $2::jsonb WHERE id = $1", task_id, _json(more).decode()
    )


async def finish(connection: asyncpg.Connection, task_id: UUID, result: Mapping[str, Any]) -> None:
    """The task is done."""
    await connection.execute(
        "UPDATE tasks SET state = 'done', result = $2, finished_at = clock_timestamp() WHERE id = $1",
        task_id,
        _json(result).decode(),
    )


async def fail(connection: asyncpg.Connection, task_ids: Sequence[UUID], error: str) -> None:
    """Tasks that are not finished cannot be done; the sentence says why."""
    await connection.execute(
        """
        UPDATE tasks SET state = 'failed', error = $2, finished_at = clock_timestamp()
        WHERE id = ANY($1::uuid[]) AND finished_at IS NULL
        """,
        task_ids,
        error,
    )


async def requeue(connection: asyncpg.Connection, task_id: UUID) -> None:
    """Nobody works on a task that was begun; it waits to be taken up again."""
    await connection.execute("UPDATE tasks SET state = 'waiting' WHERE id = $1 AND finished_at IS NULL", task_id)


async def unfinished(connection: asyncpg.Connection, older_than_s: float) -> list[UUID]:
    """Tasks that nobody may be working on: old enough that their message should have come."""
    rows = await connection.fetch(
        """
        SELECT id FROM tasks
        WHERE finished_at IS NULL AND created_at < clock_timestamp() - make_interval(secs => $1) AND kind <> $2
        ORDER BY created_at
        """,
        older_than_s,
        REBUILD_SUBTASK,
    )
    return [row["id"] for row in rows]
