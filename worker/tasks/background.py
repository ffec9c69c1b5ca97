"""The messages that have background tasks run."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from celery import shared_task
from celery.app.task import Context

from db.core.engine import transaction
from db.tasks import records
from db.tasks.notifications import RUN_SUBTASKS, RUN_TASK
from worker import process
from worker.follow_up import follow_up
from worker.runtime import Runtime
from worker.task_kinds import RUNNER


@shared_task(name=RUN_TASK)
def run_task(task_id: str) -> None:
    """Run one task unless another worker does or it is finished."""
    process.run(lambda runtime: RUNNER.run(runtime, UUID(task_id)))


@shared_task(name=RUN_SUBTASKS, bind=True)
def run_subtasks(self: Any, *task_ids: str) -> None:
    """Help another process with a task that it has divided: run the last subtask that is free, then ask for the next.

    Each has a message of its own, so that other background tasks pass them.
    """
    run_subtasks_on_behalf_of(self.request, task_ids)


def run_subtasks_on_behalf_of(request: Context, task_ids: Sequence[str]) -> None:
    """Run the last subtask that is free; if there was one, a message asks for the next."""
    if process.run(lambda runtime: run_last_free(runtime, task_ids)):
        follow_up(request, RUN_SUBTASKS, *task_ids)


async def run_last_free(runtime: Runtime, task_ids: Sequence[str]) -> bool:
    """Run the last task that is neither finished nor taken; False if there is none."""
    async with transaction(runtime.engine, readonly=True) as connection:
        unfinished = await records.unfinished(connection, [UUID(task_id) for task_id in task_ids])
    for task_id in reversed(unfinished):
        if await RUNNER.run(runtime, task_id):
            return True
    return False
