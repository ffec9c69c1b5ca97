"""Deciding quarantined leads again: when their product or customer exists, and when somebody asks for it."""

from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID

from celery import shared_task

from db.core.engine import transaction
from db.intake import quarantine, worker_batch
from db.tasks import pauses
from db.tasks.notifications import RETRY_QUARANTINE
from db.tasks.pauses import Paused
from worker import process
from worker.runner import Attempt
from worker.runtime import Runtime

_MOST_BY_ID = 10_000


@shared_task(name=RETRY_QUARANTINE)
def retry_quarantine(*keys: str) -> None:
    """Decide quarantined leads that name products or customers which now exist, by their keys."""
    for key in keys:
        process.run(partial(release_waiting_for, key=UUID(key)))


async def release_waiting_for(runtime: Runtime, key: UUID) -> None:
    """Decide quarantined leads that name a product or customer which now exists, unless the workers are paused."""
    with suppress(Paused):
        released = 1
        while released:
            await pauses.refuse_if_paused(runtime.engine)
            released = await worker_batch.retry_quarantined(runtime.engine, runtime.policies, waiting_for=key)


async def empty_quarantine(runtime: Runtime) -> None:
    """Decide some quarantined leads whose product and customer now exist, unless the workers are paused."""
    with suppress(Paused):
        async with transaction(runtime.engine) as connection:
            ids = await quarantine.next_to_look_at(connection)
        released = len(ids)
        while released:
            await pauses.refuse_if_paused(runtime.engine)
            released = await worker_batch.retry_quarantined(runtime.engine, runtime.policies, among=ids)


async def retry_quarantined(attempt: Attempt) -> dict[str, Any]:
    """Decide quarantined leads again: those with some ids, or all."""
    engine, policies, ids = attempt.runtime.engine, attempt.runtime.policies, attempt.task.arguments["ids"]
    await pauses.refuse_if_paused(engine)
    if ids is not None:
        return {"released": await worker_batch.retry_quarantined(engine, policies, _MOST_BY_ID, ids)}
    released = 0
    while count := await worker_batch.retry_quarantined(engine, policies):
        released += count
        await attempt.progress(released, released)
        await pauses.refuse_if_paused(engine)
    return {"released": released}
