"""Background tasks: the row is the task, its message only says that there is one.

A task waits, runs and ends as done or failed. Whoever runs it holds its lock (`db.core.locks.try_lock_task`), so the
state alone does not say whether a process is at work on it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec

from db.core import locks
from db.core.actor import SYSTEM, Actor, ActorKind
from db.core.unit_of_work import UnitOfWork
from db.tasks.notifications import RUN_TASK

Progress = Callable[[int, int], Awaitable[None]]
"""Stores how much of a task is done, and of how much."""

_json = msgspec.json.Encoder().encode

_NOTIFICATION_S = 5.0
"""The sweeper leaves a new task for so long to whoever receives its message."""

_COLUMNS = """
    id, kind, arguments, request_id, state, done, total, attempts, next_attempt_at, last_error, result, error,
    requested_by_kind, requested_by_id, requested_by_name, created_at, finished_at, parent_id, failures
"""


_LISTED = _COLUMNS.replace(" result,", " CASE WHEN octet_length(result::text) <= $7 THEN result END AS result,")

MOST_LISTED_BYTES = 10_000
"""A longer result is left out of a list: that of a preview over all partners takes a megabyte."""

_PARTNER = """
    coalesce(arguments ->> 'partner_id', arguments -> 'rate' ->> 'partner_id', (
        SELECT partner_id::text FROM rates WHERE rates.id = (arguments ->> 'rule_id')::bigint
    ))::uuid
"""
"""The partner whom a task is about: of a report, a month, or a rule of its own."""


@dataclass(frozen=True, slots=True)
class Task:
    """A background task; `done` of `total` units are done, `attempts` counts how often it was begun.

    `failures` counts the attempts that an unexpected error ended. `last_error` ended the attempt before, `error` the
    task. `requested_by` None is what an older release started.
    """

    id: UUID
    kind: str
    arguments: dict[str, Any]
    request_id: str
    state: str
    done: int
    total: int
    attempts: int
    next_attempt_at: datetime | None
    last_error: str | None
    result: dict[str, Any] | None
    error: str | None
    requested_by: Actor | None
    created_at: datetime
    finished_at: datetime | None
    parent_id: UUID | None
    failures: int
    result_left_out: bool = False

    @property
    def is_finished(self) -> bool:
        """Whether it has ended, as done or failed."""
        return self.finished_at is not None


async def start(uow: UnitOfWork, kind: str, arguments: Mapping[str, Any], *, dedup_key: str | None = None) -> UUID:
    """Store a task and announce it after the commit; returns its id.

    With a `dedup_key`, an unfinished task of the same kind and key is announced again instead, and its id returned; its
    row stays locked until the transaction ends.
    """
    connection = uow.connection
    while True:
        task_id = await _insert(connection, kind, arguments, uow.request_id, actor=uow.actor, dedup_key=dedup_key)
        task_id = task_id or await locks.lock_unfinished_task(connection, kind, dedup_key)
        if task_id:  # otherwise the twin ended between the two statements
            break
    uow.notify(RUN_TASK, str(task_id))
    return task_id


async def start_all(uow: UnitOfWork, kind: str, asked: Mapping[str, Mapping[str, Any]]) -> None:
    """The same of several tasks, given by their deduplication keys with their arguments."""
    rows = await uow.connection.fetch(
        """
        INSERT INTO tasks (
            id, kind, arguments, request_id, total, dedup_key, requested_by_kind, requested_by_id, requested_by_name
        )
        SELECT id, $1, arguments, $2, 0, dedup_key, $3, $4, $5
        FROM unnest($6::uuid[], $7::text[], $8::jsonb[]) AS new (id, dedup_key, arguments)
        ON CONFLICT DO NOTHING RETURNING id, dedup_key
        """,
        kind,
        uow.request_id,
        uow.actor.kind,
        uow.actor.id,
        uow.actor.name,
        [uuid4() for _ in asked],
        list(asked),
        [_json(arguments).decode() for arguments in asked.values()],
    )
    for row in rows:
        uow.notify(RUN_TASK, str(row["id"]))
    for dedup_key in asked.keys() - {row["dedup_key"] for row in rows}:
        await start(uow, kind, asked[dedup_key], dedup_key=dedup_key)


async def start_once(uow: UnitOfWork, task_id: UUID, kind: str, arguments: Mapping[str, Any]) -> bool:
    """Start a task with an id that follows from what was asked; False, and nothing happens, if it is there."""
    connection = uow.connection
    is_new = await _insert(connection, kind, arguments, uow.request_id, actor=uow.actor, task_id=task_id) is not None
    if is_new:
        uow.notify(RUN_TASK, str(task_id))
    return is_new


async def create(
    connection: asyncpg.Connection,
    kind: str,
    arguments: Mapping[str, Any],
    request_id: str,
    total: int = 0,
    parent_id: UUID | None = None,
) -> UUID:
    """Store a task of Leadger itself that nobody announces; with a parent, whoever runs that one runs this one too."""
    task_id = await _insert(connection, kind, arguments, request_id, total=total, parent_id=parent_id)
    assert task_id is not None
    return task_id


async def read(connection: asyncpg.Connection, task_id: UUID) -> Task | None:
    """One task."""
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM tasks WHERE id = $1", task_id)  # noqa: S608 - _COLUMNS is a constant
    return _task_from_row(row) if row else None


async def partner_of(connection: asyncpg.Connection, task_id: UUID) -> UUID | None:
    """The partner whom a task is about; None if it is about no single one, or there is no such task."""
    partner_id: UUID | None = await connection.fetchval(f"SELECT {_PARTNER} FROM tasks WHERE id = $1", task_id)  # noqa: S608 - _PARTNER is a constant
    return partner_id


async def read_all(connection: asyncpg.Connection, task_ids: Sequence[UUID]) -> list[Task]:
    """Some tasks, in the order given."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS} FROM unnest($1::uuid[]) WITH ORDINALITY AS wanted (id, place) JOIN tasks USING (id)
        ORDER BY place
        """,  # noqa: S608 - _COLUMNS is a constant
        task_ids,
    )
    return [_task_from_row(row) for row in rows]


async def page(
    connection: asyncpg.Connection,
    *,
    state: str | None,
    kind: str | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
    partner_id: UUID | None = None,
) -> list[Task]:
    """Tasks that are no part of another one, the newest first; of a partner, those that are about it alone.

    Results of more than MOST_LISTED_BYTES are left out.
    """
    created_at, task_id = before or (None, None)
    rows = await connection.fetch(
        f"""
        SELECT {_LISTED}, coalesce(octet_length(result::text) > $7, false) AS result_left_out FROM tasks
        WHERE parent_id IS NULL AND ($6::uuid IS NULL OR {_PARTNER} = $6::uuid)
            AND ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR kind = $2)
            AND ($3::timestamptz IS NULL OR (created_at, id) < ($3, $4::uuid))
        ORDER BY created_at DESC, id DESC LIMIT $5
        """,  # noqa: S608 - _LISTED is a constant
        state,
        kind,
        created_at,
        task_id,
        limit,
        partner_id,
        MOST_LISTED_BYTES,
    )
    return [_task_from_row(row) for row in rows]


async def zones(connection: asyncpg.Connection, task_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The time zones of the partners whom tasks are about; those about nobody alone are left out."""
    rows = await connection.fetch(
        f"""
        SELECT tasks.id, timezone FROM tasks CROSS JOIN LATERAL (
            SELECT timezone FROM partner_time_zones WHERE partner_id = {_PARTNER} ORDER BY from_period DESC LIMIT 1
        ) AS zones WHERE tasks.id = ANY($1::uuid[])
        """,  # noqa: S608 - _PARTNER is a constant
        task_ids,
    )
    return {row["id"]: row["timezone"] for row in rows}


async def unfinished(connection: asyncpg.Connection, task_ids: Sequence[UUID]) -> list[UUID]:
    """Those of some tasks that have not ended, in the order given."""
    rows = await connection.fetch("SELECT id FROM tasks WHERE id = ANY($1::uuid[]) AND finished_at IS NULL", task_ids)
    found = {row["id"] for row in rows}
    return [task_id for task_id in task_ids if task_id in found]


async def progress_of_all(connection: asyncpg.Connection, task_ids: Sequence[UUID]) -> tuple[int, int]:
    """How much of some tasks is done, and of how much."""
    row = await connection.fetchrow(
        "SELECT coalesce(sum(done), 0)::bigint, coalesce(sum(total), 0)::bigint FROM tasks WHERE id = ANY($1::uuid[])",
        task_ids,
    )
    assert row is not None
    return row[0], row[1]


async def begin(connection: asyncpg.Connection, task_id: UUID) -> Task | None:
    """A process, which holds the task's lock, begins another attempt; None if the task is finished or unknown."""
    row = await connection.fetchrow(
        f"""
        UPDATE tasks SET state = 'running', done = 0, attempts = attempts + 1, next_attempt_at = NULL
        WHERE id = $1 AND finished_at IS NULL RETURNING {_COLUMNS}
        """,  # noqa: S608 - _COLUMNS is a constant
        task_id,
    )
    return _task_from_row(row) if row else None


async def report_progress(connection: asyncpg.Connection, task_id: UUID, done: int, total: int) -> None:
    """Store how far a running task is."""
    await connection.execute(
        "UPDATE tasks SET state = 'running', done = $2, total = $3 WHERE id = $1 AND finished_at IS NULL",
        task_id,
        done,
        total,
    )


async def add_arguments(connection: asyncpg.Connection, task_id: UUID, more: Mapping[str, Any]) -> None:
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
    """Tasks that are not finished cannot be done; the error says why."""
    await connection.execute(
        """
        UPDATE tasks SET state = 'failed', error = $2, finished_at = clock_timestamp()
        WHERE id = ANY($1::uuid[]) AND finished_at IS NULL
        """,
        task_ids,
        error,
    )


async def requeue(connection: asyncpg.Connection, task_id: UUID, delay_s: float | None = None) -> None:
    """A task that was begun waits for the next sweep, or for one after so many seconds; that attempt does not count."""
    await connection.execute(
        """
        UPDATE tasks SET state = 'waiting', attempts = greatest(attempts - 1, 0),
            next_attempt_at = clock_timestamp() + make_interval(secs => $2)
        WHERE id = $1 AND finished_at IS NULL
        """,
        task_id,
        delay_s,
    )


async def retry_later(
    connection: asyncpg.Connection, task_id: UUID, error: str, delay_s: float, *, failures: int = 0
) -> None:
    """An attempt ended with an error; the task stays begun, and its next attempt follows after so many seconds.

    `failures` is what the attempt adds to its failures: 0 if the environment is to blame.
    """
    await connection.execute(
        """
        UPDATE tasks SET last_error = $2, next_attempt_at = clock_timestamp() + make_interval(secs => $3),
            failures = failures + $4
        WHERE id = $1 AND finished_at IS NULL
        """,
        task_id,
        error,
        delay_s,
        failures,
    )


async def due(connection: asyncpg.Connection) -> list[UUID]:
    """Tasks whose next attempt is due and whose message should have been received by now, oldest first.

    Some of them may be running. Subtasks are not among them: whoever runs their parent runs them.
    """
    rows = await connection.fetch(
        """
        SELECT id FROM tasks
        WHERE finished_at IS NULL AND created_at < clock_timestamp() - make_interval(secs => $1)
            AND (next_attempt_at IS NULL OR next_attempt_at <= clock_timestamp()) AND parent_id IS NULL
        ORDER BY created_at
        """,
        _NOTIFICATION_S,
    )
    return [row["id"] for row in rows]


async def delete_finished(connection: asyncpg.Connection, older_than_days: int, most: int) -> int:
    """Delete tasks that finished longer ago, with their subtasks; returns how many tasks, subtasks not counted."""
    status: str = await connection.execute(
        """
        DELETE FROM tasks WHERE id IN (
            SELECT id FROM tasks
            WHERE finished_at < clock_timestamp() - make_interval(days => $1) AND parent_id IS NULL
            ORDER BY finished_at LIMIT $2
        )
        """,
        older_than_days,
        most,
    )
    return int(status.removeprefix("DELETE "))


async def _insert(
    connection: asyncpg.Connection,
    kind: str,
    arguments: Mapping[str, Any],
    request_id: str,
    *,
    actor: Actor = SYSTEM,
    total: int = 0,
    parent_id: UUID | None = None,
    dedup_key: str | None = None,
    task_id: UUID | None = None,
) -> UUID | None:
    """The id of the new task; None if an unfinished one of the kind has the key, or any one the id."""
    inserted: UUID | None = await connection.fetchval(
        """
        INSERT INTO tasks (
            id, kind, arguments, request_id, total, parent_id, dedup_key,
            requested_by_kind, requested_by_id, requested_by_name
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT DO NOTHING
        RETURNING id
        """,
        task_id or uuid4(),
        kind,
        _json(arguments).decode(),
        request_id,
        total,
        parent_id,
        dedup_key,
        actor.kind,
        actor.id,
        actor.name,
    )
    return inserted


def _task_from_row(row: asyncpg.Record) -> Task:
    values = dict(row)
    kind, actor_id, name = (values.pop(f"requested_by_{part}") for part in ("kind", "id", "name"))
    return Task(**values, requested_by=Actor(ActorKind(kind), actor_id, name) if kind else None)
