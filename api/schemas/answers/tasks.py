"""Background tasks."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from api.schemas.answers.base import Answer


class TaskStarted(Answer):
    """A background task; `status_url` tells how far it is."""

    task_id: UUID
    status_url: str


class Progress(Answer):
    """How far a task is."""

    done: int
    total: int


class Requester(Answer):
    """Who asked for something: a person, an API key, or Leadger itself."""

    kind: Literal["user", "key", "system"]
    name: str


class Task(Answer):
    """A background task.

    `last_error` ended the attempt before, and `next_attempt_at` says when it is tried again; `error` ended the task.
    `result_left_out` says that a list left out a long `result`.
    """

    task_id: UUID
    kind: str
    state: Literal["waiting", "running", "done", "failed"]
    progress: Progress
    attempts: int
    next_attempt_at: datetime | None
    last_error: str | None
    result: dict[str, Any] | None
    result_left_out: bool
    error: str | None
    requested_by: Requester | None
    created_at: datetime
    finished_at: datetime | None
