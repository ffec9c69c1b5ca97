"""Helping another process with a task that it has divided: a share, then a turn for the leads that wait, and again."""

from celery import shared_task

from db.tasks.notifications import RUN_SUBTASKS
from worker import runtime
from worker.tasks import background, leads


@shared_task(name=RUN_SUBTASKS)
def run_subtasks(*task_ids: str) -> None:
    """Run the last of the tasks that nobody has taken; who divided them takes them from the first one on.

    Leads come in between, or two processes would keep them waiting for as long as the whole takes.
    """
    if runtime.run(lambda at: background.run_last_free(at, task_ids)):
        runtime.run(leads.empty_inbox)
        background.notify_subtasks(task_ids)
