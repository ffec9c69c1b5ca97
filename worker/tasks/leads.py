"""Deciding leads: what the doorbell rings for, and the sweeper for what nobody rang for."""

import asyncio
import random
import time
from contextlib import suppress
from typing import Any
from uuid import UUID

import structlog
from celery import shared_task

from db.core.engine import transaction
from db.core.errors import TRANSIENT
from db.intake import worker_batch
from db.tasks import pauses, records
from db.tasks.notifications import LEADS_PRIORITY, PROCESS_LEADS, REQUEST_ID_HEADER, RETRY_QUARANTINE
from db.tasks.pauses import Paused
from db.telemetry import counters
from worker import runtime
from worker.runtime import Runtime
from worker.tasks.background import run_task

log = structlog.get_logger()

_MOST_TRIES = 5
_TIME_SLICE_S = 1.0


@shared_task(name=PROCESS_LEADS, bind=True)
def process_leads(self: Any) -> None:
    """Decide what waits in the inbox until nothing does, a turn at a time."""
    ids = {"request_id": self.request.get(REQUEST_ID_HEADER, ""), "task_id": self.request.id}
    with structlog.contextvars.bound_contextvars(**ids):  # the next task of this process is not of this request
        if not runtime.run(empty_inbox):
            _enqueue_again()


@shared_task(name=RETRY_QUARANTINE)
def retry_quarantined() -> None:
    """Decide quarantined leads whose product and customer now exist."""
    runtime.run(_empty_quarantine)


@shared_task(name="leads.sweep")
def sweep() -> None:
    """Do what nobody rang for: a lost message, an emptied Redis or a killed worker costs one interval."""
    if not runtime.run(empty_inbox):
        _enqueue_again()
    runtime.run(_empty_quarantine)
    for task_id in runtime.run(_unfinished_tasks):
        run_task.delay(str(task_id))
    runtime.run(_record_sweep)


def _enqueue_again() -> None:
    """Go on after the background tasks, which would never have their turn while leads keep coming."""
    process_leads.apply_async(priority=LEADS_PRIORITY)


async def empty_inbox(at: Runtime) -> bool:
    """Decide waiting leads for one turn; false if there may be more to decide now."""
    tries = 0
    turn_ends = time.monotonic() + _TIME_SLICE_S
    while time.monotonic() < turn_ends:
        try:
            await pauses.refuse_if_paused(at.engine)
            settled = await worker_batch.process_inbox(at.engine, at.policies, at.settings.task_max_leads)
        except Paused:
            return True
        except TRANSIENT as error:
            tries += 1
            log.warning("batch_failed", error=repr(error), tries=tries)
            if tries == _MOST_TRIES:
                return True  # the rows still wait; the sweeper comes again
            await asyncio.sleep(random.uniform(0, 0.1 * 2**tries))  # noqa: S311 - jitter is no secret
            continue
        if not settled:
            return True
        tries = 0
    return False


async def _empty_quarantine(at: Runtime) -> None:
    with suppress(Paused):
        settled = 1
        while settled:
            await pauses.refuse_if_paused(at.engine)
            settled = await worker_batch.retry_quarantined(at.engine, at.policies)


async def _record_sweep(at: Runtime) -> None:
    """Whoever misses beat or the workers looks at this."""
    async with transaction(at.engine) as connection:
        await counters.put(connection, "swept_at_s", round(time.time()))
        pause = await pauses.current(connection)
    if pause:
        log.info("workers_are_paused", paused_by=pause.paused_by, reason=pause.reason)


async def _unfinished_tasks(at: Runtime) -> list[UUID]:
    async with transaction(at.engine, readonly=True) as connection:
        return await records.due(connection)
