"""Deciding leads: when a message says that some wait, and in each sweep for those whose message was lost."""

import asyncio
import random
import time
from typing import Any

import structlog
from celery import shared_task

from db.core.engine import transaction
from db.core.errors import TRANSIENT
from db.intake import worker_batch
from db.tasks import pauses, records
from db.tasks.notifications import PROCESS_LEADS, RUN_TASK, SWEEP
from db.tasks.pauses import Paused
from db.telemetry import counters
from worker import process
from worker.follow_up import follow_up, request_id_of
from worker.runtime import Runtime
from worker.tasks.quarantine import empty_quarantine
from worker.tasks.webhooks import announce_due_deliveries

log = structlog.get_logger()

_MOST_TRIES = 5
TIME_SLICE_S = 1.0


@shared_task(name=PROCESS_LEADS, bind=True)
def process_leads(self: Any) -> None:
    """Decide what waits in the inbox until nothing does, one time slice per message."""
    ids = {"request_id": request_id_of(self.request), "task_id": self.request.id}
    with structlog.contextvars.bound_contextvars(**ids):  # the next task of this process is not of this request
        if not process.run(empty_inbox):
            # A message of its own, or a sweep would wait while leads keep coming.
            follow_up(self.request, PROCESS_LEADS)


@shared_task(name=SWEEP, bind=True)
def sweep(self: Any) -> None:
    """Do what no message came for: a lost message, an emptied Redis or a killed worker costs one interval."""
    if not process.run(empty_inbox):
        follow_up(self.request, PROCESS_LEADS)
    process.run(empty_quarantine)
    process.run(announce_due_tasks)
    process.run(announce_due_deliveries)
    process.run(record_sweep)


async def empty_inbox(runtime: Runtime) -> bool:
    """Decide waiting leads for one time slice; False if there may be more to decide now."""
    engine, most_leads = runtime.engine, runtime.settings.task_max_leads
    tries = 0
    slice_ends = time.monotonic() + TIME_SLICE_S
    while time.monotonic() < slice_ends:
        try:
            await pauses.refuse_if_paused(engine)
            decided = await worker_batch.process_inbox(engine, runtime.policies, most_leads, starts=runtime.starts)
        except Paused:
            return True
        except TRANSIENT as error:
            tries += 1
            log.warning("batch_failed", error=repr(error), tries=tries)
            if tries == _MOST_TRIES:
                return True  # the rows still wait; the sweeper comes again
            await asyncio.sleep(random.uniform(0, 0.1 * 2**tries))  # noqa: S311 - jitter is no secret
            continue
        if not decided:
            return True
        tries = 0
    return False


async def record_sweep(runtime: Runtime) -> None:
    """Store the time of the sweep: readiness and alerts tell by it whether beat and the workers run."""
    async with transaction(runtime.engine) as connection:
        await counters.put(connection, "swept_at_s", round(time.time()))
        pause = await pauses.current(connection)
    if pause:
        log.info("workers_are_paused", paused_by=pause.paused_by, reason=pause.reason)


async def announce_due_tasks(runtime: Runtime) -> None:
    """Send a message for each background task whose own one was lost, or whose next attempt is due."""
    async with runtime.unit_of_work() as uow:
        for task_id in await records.due(uow.connection):
            uow.notify(RUN_TASK, str(task_id))
