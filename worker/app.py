"""Celery and its configuration. Nothing is connected at import; each child makes its runtime when it starts.

Redelivery by Redis is no recovery path (it takes minutes): the rows in Postgres are the work, and the sweeper finds
those nobody works on.
"""

import atexit
import logging
from typing import Any

from billiard import pool
from billiard.util import get_logger
from celery import Celery
from celery.signals import (
    beat_init,
    celeryd_after_setup,
    setup_logging,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
)

from db.core.garbage_collector import OF_A_WORKER, tune_garbage_collector
from db.core.settings import Settings
from db.tasks.notifications import START_DUE_RUN, SWEEP, broker_configuration
from db.telemetry import tracing
from db.telemetry.logs import configure_logging
from worker import priority, process
from worker.follow_up import from_start
from worker.schedule import beat_schedule
from worker.traced import TracedCelery, TracedTask

# A child that ends waits until its parent has read its results, and a parent that ends may have stopped reading: wait
# for 5 s instead of 30, after which a supervisor would kill both. What is not acknowledged is
# delivered again, which does no harm.
pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 50

TASK_MODULES = [
    "worker.tasks.leads",
    "worker.tasks.background",
    "worker.tasks.quarantine",
    "worker.tasks.reports",
    "worker.tasks.invariants",
    "worker.tasks.proofs",
    "worker.tasks.retention",
    "worker.tasks.reminders",
    "worker.tasks.webhooks",
    "worker.tasks.runs",
    "worker.tasks.former_names",
]


def create_app(settings: Settings) -> Celery:
    """The Celery application: tasks are acknowledged after they are done, and none waits behind a long one."""
    app = TracedCelery("leadger", include=TASK_MODULES, task_cls=TracedTask)
    app.conf.update(
        broker_configuration(settings),
        beat_schedule=beat_schedule(settings),
        beat_scheduler="worker.one_beat:OneBeat",
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_send_task_events=True,
        task_send_sent_event=True,
        worker_max_memory_per_child=250_000,
        timezone="UTC",
    )
    return app


@setup_logging.connect
def _configure_logs(**_: Any) -> None:
    """Celery asks for it in worker, beat and each child, and then leaves logging to us."""
    configure_logging(Settings().log_level)
    get_logger().propagate = True  # the pool's, which says that a child was killed
    logging.getLogger("celery.app.trace").addFilter(_is_not_a_failure)


def _is_not_a_failure(record: logging.LogRecord) -> bool:
    """TracedTask logs a task that failed, with its trace; Celery's line would be a second one."""
    return record.levelno != logging.ERROR


@celeryd_after_setup.connect
def _note_queues(instance: Any, **_: Any) -> None:
    """Children inherit what their parent consumes, name their connections after it, and let others go first by it."""
    queues = instance.app.amqp.queues.consume_from
    process.consume(queues)
    priority.let_the_door_go_first(queues)


@worker_process_init.connect
def _start(**_: Any) -> None:
    process.start()


@worker_process_shutdown.connect
def _stop(**_: Any) -> None:
    process.stop()


@celeryd_after_setup.connect
def _share_memory(**_: Any) -> None:
    """Children share what their parent has imported, as long as none of them searches it for cycles."""
    tune_garbage_collector(OF_A_WORKER)


@worker_ready.connect
def _go_on(**_: Any) -> None:
    """What another worker was killed with goes on as soon as this one is there, and not at the next interval."""
    from_start(SWEEP)


@beat_init.connect
def _start_beat(**_: Any) -> None:
    """Look for ended months at once: the first look enables the scheduler, and an interval is an hour."""
    tune_garbage_collector(OF_A_WORKER)
    tracing.start("leadger-beat")
    atexit.register(tracing.stop)
    from_start(START_DUE_RUN)


app = create_app(Settings())
