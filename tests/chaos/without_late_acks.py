"""The Celery application that acknowledges a message before its work is done."""

from worker.app import app

app.conf.task_acks_late = False
app.conf.task_reject_on_worker_lost = False

__all__ = ["app"]
