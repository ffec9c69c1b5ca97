"""The messages that have background tasks run."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from celery import shared_task

from db.tasks.notifications import REQUEST_ID_HEADER, RUN_SUBTASKS, RUN_TASK, continue_later
from worker import process
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
    if process.run(lambda runtime: run_last_free(runtime, task_ids)):
        continue_later(RUN_SUBTASKS, *task_ids, request_id=self.request.get(REQUEST_ID_HEADER, ""))


async def run_last_free(runtime: Runtime, task_ids: Sequence[str]) -> bool:
    """Run the last task that is neither finished nor taken; False if there is none."""
    for task_id in reversed(task_ids):
        if await RUNNER.run(runtime, UUID(task_id)):
            return True
    return False
