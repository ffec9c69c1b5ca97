"""Messages by the task names of 0.1 and 0.2.0, so that an upgrade drops none; they go with the next release."""

from typing import Any

from celery import shared_task

from db.tasks.notifications import FORMER_APPLY_RETENTION, FORMER_RETRY_QUARANTINE, FORMER_RUN_SUBTASKS
from worker import process
from worker.tasks.background import run_subtasks_on_behalf_of
from worker.tasks.quarantine import empty_quarantine
from worker.tasks.retention import delete_old


@shared_task(name=FORMER_RETRY_QUARANTINE)
def retry_quarantine() -> None:
    """What `quarantine.retry` does."""
    process.run(empty_quarantine)


@shared_task(name=FORMER_APPLY_RETENTION)
def apply_retention() -> None:
    """What `retention.delete` does."""
    process.run(delete_old)


@shared_task(name=FORMER_RUN_SUBTASKS, bind=True)
def run_former_subtasks(self: Any, *task_ids: str) -> None:
    """What `tasks.run_subtasks` does; calling that task would begin a second span and lose the request id."""
    run_subtasks_on_behalf_of(self.request, task_ids)
