"""Background tasks and how far they are."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.problems import Problem
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import UuidPath
from api.state import state_of
from api.wire import instant_out, json_response
from db.core.engine import transaction
from db.tasks import records

router = APIRouter(route_class=Route, prefix="/api/tasks", tags=["tasks"])


@router.get("/{task_id}", dependencies=[requires(Permission.READ)], response_model=answers.Task)
async def get_task(request: Request, task_id: UuidPath) -> Response:
    """A task's state, progress, result and error."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        task = await records.read(connection, task_id)
    if task is None:
        raise Problem(404, f"There is no task {task_id}.")
    return json_response(
        {
            "task_id": task.id,
            "kind": task.kind,
            "state": task.state,
            "progress": {"done": task.done, "total": task.total},
            "result": task.result,
            "error": task.error,
            "created_at": instant_out(task.created_at),
            "finished_at": instant_out(task.finished_at),
        }
    )


def task_out(task_id: UUID) -> dict[str, Any]:
    """A task that was started, with where to look."""
    return {"task_id": task_id, "status_url": f"/api/tasks/{task_id}"}


def task_started(task_id: UUID) -> Response:
    """The answer 202 for a task that a use case started."""
    content = task_out(task_id)
    return json_response(content, 202, {"Location": content["status_url"]})
