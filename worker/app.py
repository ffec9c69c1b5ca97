"""Celery and its configuration. Nothing is connected at import; each child makes its runtime when it starts.

Redelivery by Redis is no recovery path (it takes minutes): the rows in Postgres are the jobs, and the sweeper finds
those nobody works on.
"""

from typing import Any

from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown

from db.doorbell import broker_configuration
from db.settings import Settings
from worker import runtime
from worker.schedule import beat_schedule

TASK_MODULES = [
    "worker.tasks.leads",
    "worker.tasks.background",
    "worker.tasks.reports",
    "worker.tasks.invariants",
]


def create_app(settings: Settings) -> Celery:
    """The Celery application: tasks are acknowledged after they are done, and none waits behind a long one."""
    app = Celery("leadger", include=TASK_MODULES)
    app.conf.update(
        broker_configuration(settings),
        beat_schedule=beat_schedule(settings),
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_send_task_events=True,
        task_send_sent_event=True,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_max_memory_per_child=250_000,
        timezone="UTC",
    )
    return app


@worker_process_init.connect
def _start(**_: Any) -> None:
    runtime.start()


@worker_process_shutdown.connect
def _stop(**_: Any) -> None:
    runtime.stop()


app = create_app(Settings())
