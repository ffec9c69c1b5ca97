"""Background tasks and how far they are."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Request, Response

from api.access.permissions import Permission, requires
from api.access.visibility import own_partner, without_names
from api.paging import After, Limit, cursor_from_place, place_from_cursor
from api.problems import Problem
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import UuidPath
from api.state import state_of
from api.wire import instant_out, json_response
from db.core.engine import transaction
from db.fraud import screening
from db.ledger import reevaluation
from db.tasks import records
from db.tasks.records import Task

router = APIRouter(route_class=Route, prefix="/api/tasks", tags=["tasks"])

State = Literal["waiting", "running", "done", "failed"]


@router.get(
    "", dependencies=[requires(Permission.READ, within_partner=True)], response_model=answers.Page[answers.Task]
)
async def list_tasks(
    request: Request, state: State | None = None, kind: str | None = None, limit: Limit = 50, after: After = None
) -> Response:
    """Background tasks, the newest first; those that are done are kept for a while, see the settings.

    A long result is left out here (`result_left_out`); the task itself has it.
    """
    before = place_from_cursor(after, tuple[datetime, UUID])
    async with transaction(state_of(request).engine, readonly=True) as connection:
        page = await records.page(
            connection, state=state, kind=kind, before=before, limit=limit, partner_id=own_partner(request)
        )
    following = cursor_from_place((page[-1].created_at, page[-1].id)) if len(page) == limit else None
    return json_response({"items": [_task_out(request, task) for task in page], "next": following})


@router.get("/{task_id}", dependencies=[requires(Permission.READ, within_partner=True)], response_model=answers.Task)
async def get_task(request: Request, task_id: UuidPath) -> Response:
    """How far a task is, what came of it, how often it was tried and who asked for it."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        task = await records.read(connection, task_id)
        visible = task is not None and await _is_visible(request, connection, task)
    if task is None or not visible:
        raise Problem(404, f"There is no task {task_id}.")
    return json_response(_task_out(request, task))


def task_out(task_id: UUID) -> dict[str, Any]:
    """A task that was started, with where to look."""
    return {"task_id": task_id, "status_url": f"/api/tasks/{task_id}"}


def task_started(task_id: UUID) -> Response:
    """The answer 202 for a task that a use case started."""
    content = task_out(task_id)
    return json_response(content, 202, {"Location": content["status_url"]})


async def _is_visible(request: Request, connection: asyncpg.Connection, task: Task) -> bool:
    """Whether it is about the caller's partner alone, or re-evaluates all partners, as a bound caller may ask for."""
    within = own_partner(request)
    return within is None or task.kind == reevaluation.KIND or await records.partner_of(connection, task.id) == within


def _task_out(request: Request, task: Task) -> dict[str, Any]:
    """A task as its caller may see it: to a bound one, errors and counts may tell of others."""
    content = without_names(request, _task_fields(task), "last_error", "requested_by")
    if own_partner(request) is None:
        return content
    if task.kind in (reevaluation.KIND, screening.KIND):
        content |= {"result": None, "result_left_out": False}
    elif task.result and "undecided" in task.result:
        of_all_partners = {"unknown_product": None, "dead_letters": None}
        content["result"] = task.result | {"undecided": task.result["undecided"] | of_all_partners}
    error = "The task failed; whoever runs Leadger can read why." if task.error else None
    return content | {"progress": {"done": int(task.is_finished), "total": 1}, "error": error}


def _task_fields(task: Task) -> dict[str, Any]:
    asked = task.requested_by
    return {
        "task_id": task.id,
        "kind": task.kind,
        "state": task.state,
        "progress": {"done": task.done, "total": task.total},
        "attempts": task.attempts,
        "next_attempt_at": instant_out(task.next_attempt_at),
        "last_error": task.last_error,
        "result": task.result,
        "result_left_out": task.result_left_out,
        "error": task.error,
        "requested_by": {"kind": asked.kind, "name": asked.name} if asked else None,
        "created_at": instant_out(task.created_at),
        "finished_at": instant_out(task.finished_at),
    }
