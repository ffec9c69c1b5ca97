"""Deciding quarantined leads again: when their product or customer exists, and when somebody asks for it."""

from collections.abc import Awaitable, Callable
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


@shared_task(name=RETRY_QUARANTINE)
def retry_quarantine(*keys: str) -> None:
    """Decide quarantined leads that name products or customers which now exist, by their keys."""
    for key in keys:
        process.run(partial(release_waiting_for, key=UUID(key)))


async def release_waiting_for(runtime: Runtime, key: UUID) -> None:
    """Decide quarantined leads that name a product or customer which now exists, unless the workers are paused."""
    with suppress(Paused):
        await worker_batch.retry_quarantined(
            runtime.engine, runtime.policies, waiting_for=key, between=_unless_paused(runtime)
        )


async def empty_quarantine(runtime: Runtime) -> None:
    """Decide some quarantined leads whose product and customer now exist, unless the workers are paused."""
    with suppress(Paused):
        async with transaction(runtime.engine) as connection:
            ids = await quarantine.next_to_look_at(connection)
        if ids:
            await worker_batch.retry_quarantined(
                runtime.engine, runtime.policies, among=ids, between=_unless_paused(runtime)
            )


def _unless_paused(runtime: Runtime) -> Callable[[int, int], Awaitable[None]]:
    async def between(looked_at: int, released: int) -> None:
        await pauses.refuse_if_paused(runtime.engine)

    return between


async def retry_quarantined(attempt: Attempt) -> dict[str, Any]:
    """Decide quarantined leads again: those with some ids, or all. Tells how many left it, of how many."""
    engine, policies, ids = attempt.runtime.engine, attempt.runtime.policies, attempt.task.arguments["ids"]
    async with transaction(engine, readonly=True) as connection:
        total = await quarantine.count_open(connection, ids)

    async def between(looked_at: int, released: int) -> None:
        await pauses.refuse_if_paused(engine)
        await attempt.progress(min(looked_at, total), total)

    return {"released": await worker_batch.retry_quarantined(engine, policies, only=ids, between=between), "of": total}
