"""The messages that have background tasks run."""

from collections.abc import Sequence
from uuid import UUID

from celery import shared_task

from db.core.unit_of_work import Message
from db.tasks.notifications import RUN_SUBTASKS, RUN_TASK, publish
from worker import process
from worker.runtime import Runtime
from worker.task_kinds import RUNNER


@shared_task(name=RUN_TASK)
def run_task(task_id: str) -> None:
    """Run one task unless another worker does or it is finished."""
    process.run(lambda runtime: RUNNER.run(runtime, UUID(task_id)))


@shared_task(name=RUN_SUBTASKS)
def run_subtasks(*task_ids: str) -> None:
    """Help another process with a task that it has divided: run the last subtask that is free, then ask for the next.

    Each has a message of its own, so that other background tasks pass them.
    """
    if process.run(lambda runtime: run_last_free(runtime, task_ids)):
        publish(Message(RUN_SUBTASKS, task_ids), "")


async def run_last_free(runtime: Runtime, task_ids: Sequence[str]) -> bool:
    """Run the last task that is neither finished nor taken; False if there is none."""
    for task_id in reversed(task_ids):
        if await RUNNER.run(runtime, UUID(task_id)):
            return True
    return False
