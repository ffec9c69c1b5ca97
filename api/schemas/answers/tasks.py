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


class Task(Answer):
    """A background task."""

    task_id: UUID
    kind: str
    state: Literal["waiting", "running", "done", "failed"]
    progress: Progress
    result: dict[str, Any] | None
    error: str | None
    created_at: datetime
    finished_at: datetime | None
