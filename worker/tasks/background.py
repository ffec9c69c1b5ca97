"""Background tasks: rebuild, close, re-evaluate, retry. Each can be killed anywhere and started again.

While the workers are paused, those that need leads decided wait for the end of the pause; the others go on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from celery import current_app, shared_task

from billing.errors import BillingError
from db.core import locks
from db.core.concurrently import run_concurrently
from db.core.engine import transaction
from db.core.errors import TRANSIENT
from db.intake import inbox, worker_batch
from db.ledger import closing, rebuild, reevaluation
from db.reports import snapshots
from db.tasks import pauses, records
from db.tasks.notifications import RUN_SUBTASKS, RUN_TASK, SUBTASK_PRIORITY
from db.tasks.pauses import Paused
from db.tasks.records import Progress
from db.telemetry import counters
from worker import runtime
from worker.runtime import Runtime
from worker.tasks import rebuilding
from worker.tasks.erasure import erase

log = structlog.get_logger()

Handler = Callable[[Runtime, dict[str, Any], Progress], Awaitable[dict[str, Any]]]

_PAUSE_S = 0.1


class Interrupted(Exception):
    """A fault of the moment ended a task, which is taken up again later."""


@shared_task(name=RUN_TASK)
def run_task(task_id: str) -> None:
    """Run one task unless another worker does or it is finished."""
    runtime.run(lambda at: _run(at, UUID(task_id)))


def notify_subtasks(task_ids: Iterable[str]) -> None:
    """Have another process run some of these tasks, if one is free (`worker.tasks.subtasks`)."""
    try:
        current_app.send_task(RUN_SUBTASKS, tuple(task_ids), priority=SUBTASK_PRIORITY, retry=False)
    except Exception as error:  # who runs the tasks does them alone
        log.warning("notification_failed", task=RUN_SUBTASKS, error=repr(error))


async def run_last_free(at: Runtime, task_ids: Sequence[str]) -> bool:
    """Run the last task that is neither finished nor taken; False if there is none."""
    for task_id in reversed(task_ids):
        if await _run(at, UUID(task_id)):
            return True
    return False


async def _run(at: Runtime, task_id: UUID) -> bool:
    try:
        return await _take(at, task_id)
    except Interrupted:  # the sweeper resumes it, or whoever runs the task that it is part of
        return False


async def _take(at: Runtime, task_id: UUID) -> bool:
    """Run a task to its end, be it good or bad; False if it is finished, taken or put back. Raises Interrupted."""
    async with at.engine.connect() as pooled:
        connection = (await pooled.get_raw_connection()).driver_connection
        assert connection is not None
        if not await locks.try_lock_task(connection, task_id):
            return False
        try:
            task = await records.read(connection, task_id)
            if task is None or task.is_finished:
                return False
            structlog.contextvars.bind_contextvars(request_id=task.request_id, background_task_id=str(task_id))

            async def progress(done: int, total: int) -> None:
                await records.report_progress(connection, task_id, done, total)

            await records.begin(connection, task_id)
            try:
                arguments = task.arguments | {"task_id": str(task_id), "request_id": task.request_id}
                result = await _HANDLERS[task.kind](at, arguments, progress)
            except (*TRANSIENT, Interrupted) as error:
                log.warning("task_interrupted", kind=task.kind, error=repr(error))
                raise Interrupted from error
            except Paused:
                await records.requeue(connection, task_id)  # the sweeper takes it up until the pause is over
                return False
            except BillingError as refusal:
                await records.fail(connection, [task_id], str(refusal))
            except Exception as error:
                log.exception("task_failed", kind=task.kind)
                await records.fail(connection, [task_id], f"An unexpected error: {error!r}")
                await counters.add(connection, {"task_failures": 1})
            else:
                await records.finish(connection, task_id, result)
                told = {name: value for name, value in result.items() if name != "differences"}
                log.info("task_done", kind=task.kind, **told)
            return True
        finally:
            if not connection.is_closed():
                await locks.unlock_task(connection, task_id)


async def _reevaluate(at: Runtime, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Judge the stale customers of partners by the present terms and rates."""
    judged = 0
    partner_ids = [UUID(each) for each in arguments["partner_ids"]]
    async with transaction(at.engine, readonly=True) as connection:
        total = sum([await reevaluation.stale_customers(connection, partner_id) for partner_id in partner_ids])
    for partner_id in partner_ids:
        while count := await reevaluation.rejudge_some_stale(at.engine, at.policies, partner_id):
            judged += count
            await progress(judged, max(total, judged))
    return {"customers": judged}


async def _close(at: Runtime, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Wait until what was accepted before is decided, freeze the period and write its final report."""
    partner_id, period = UUID(arguments["partner_id"]), arguments["period"]
    total: int | None = None
    while True:
        async with transaction(at.engine, readonly=True) as connection:
            waiting = await inbox.waiting_up_to(connection, arguments["newest_waiting"])
        total = waiting if total is None else total
        await progress(total - waiting, total)
        if not waiting:
            break
        await pauses.refuse_if_paused(at.engine)
        if not await worker_batch.process_inbox(at.engine, at.policies, at.settings.task_max_leads):
            await asyncio.sleep(_PAUSE_S)
    while not await _freeze(at, arguments):
        await _reevaluate(at, {"partner_ids": [str(partner_id)]}, progress)
    version = await snapshots.snapshot(at.engine, at.settings, partner_id, period)
    return {"closed": True, "report_version": version}


async def _freeze(at: Runtime, arguments: dict[str, Any]) -> bool:
    """Freeze the period, once: a task killed after that must not close again what somebody has reopened since."""
    partner_id, period = UUID(arguments["partner_id"]), arguments["period"]
    if arguments.get("frozen"):
        return True
    try:
        async with transaction(at.engine) as connection:
            frozen = await closing.close(connection, at.policies, partner_id, period, datetime.now(UTC))
            if frozen:
                await records.add_arguments(connection, UUID(arguments["task_id"]), {"frozen": True})
            return frozen
    finally:
        at.policies.clear()


async def _rebuild(at: Runtime, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Re-evaluate a report from its stored actions, correct what differs, and write a version if anything did."""
    partner_id, period = UUID(arguments["partner_id"]), arguments["period"]
    resumed = "shares" in arguments
    subtask_ids = await rebuilding.create_subtasks(at, arguments)
    work: list[Coroutine[Any, Any, Any]] = [
        _judge_ranges(at, subtask_ids, progress),
        rebuild.correct_counters(at.engine, at.policies, partner_id, period),
    ]
    if len(subtask_ids) > 1 and not resumed:
        work.append(asyncio.to_thread(notify_subtasks, [str(subtask_id) for subtask_id in subtask_ids]))
    judged, counters, *_ = await run_concurrently(*work)
    result: dict[str, Any] = judged | {"counters_corrected": counters}
    result["report_version"] = await snapshots.snapshot(at.engine, at.settings, partner_id, period)
    return result


async def _judge_ranges(at: Runtime, subtask_ids: list[UUID], progress: Progress) -> dict[str, Any]:
    """Run the shares that nobody has run, and wait for the one that a helper is at."""
    while (judged := await rebuilding.together(at, subtask_ids)) is None:
        taken = 0
        for subtask_id in subtask_ids:
            if await _take(at, subtask_id):
                taken += 1
                await rebuilding.tell(at, subtask_ids, progress)
        if not taken:
            await asyncio.sleep(_PAUSE_S)
    await rebuilding.tell(at, subtask_ids, progress)
    return judged


async def _retry_quarantine(at: Runtime, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Evaluate quarantined leads again."""
    await pauses.refuse_if_paused(at.engine)
    if arguments["ids"] is not None:
        return {"released": await worker_batch.retry_quarantined(at.engine, at.policies, 10_000, arguments["ids"])}
    released = 0
    while count := await worker_batch.retry_quarantined(at.engine, at.policies):
        released += count
        await progress(released, released)
        await pauses.refuse_if_paused(at.engine)
    return {"released": released}


_HANDLERS: dict[str, Handler] = {
    "reevaluate": _reevaluate,
    "close": _close,
    "rebuild": _rebuild,
    rebuilding.REBUILD_SUBTASK: rebuilding.judge_range,
    "retry_quarantine": _retry_quarantine,
    "erase": erase,
}
