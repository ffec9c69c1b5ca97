"""Background tasks: rebuild, close, re-evaluate, retry. Each can be killed anywhere and started again.

While the workers are paused, those that need leads decided wait for the end of the pause; the others go on.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from celery import shared_task

from billing.errors import BillingError
from db import batch, closing, inbox, locks, pauses, rebuild, rejudge, report_files, tasks
from db.at_once import at_once
from db.doorbell import HELP, RUN_TASK
from db.engine import transaction
from db.pauses import Paused
from worker import runtime
from worker.runtime import Runtime
from worker.tasks import rebuilding
from worker.tasks.erasure import erase

log = structlog.get_logger()

Progress = Callable[[int, int], Awaitable[None]]
Handler = Callable[[Runtime, dict[str, Any], Progress], Awaitable[dict[str, Any]]]

_PAUSE_S = 0.1


@shared_task(name=RUN_TASK)
def run_task(task_id: str) -> None:
    """Run one task unless another worker does or it is finished."""
    runtime.run(lambda at: _run(at, UUID(task_id)))


@shared_task(name=HELP)
def help_with(*task_ids: str) -> None:
    """Run tasks that somebody else runs from the first one on, from the last one on, until all are taken."""
    runtime.run(lambda at: _help(at, task_ids))


async def _run(at: Runtime, task_id: UUID) -> None:
    async with at.engine.connect() as pooled:
        connection = (await pooled.get_raw_connection()).driver_connection
        assert connection is not None
        if not await locks.try_task(connection, task_id):
            return
        try:
            row = await tasks.read(connection, task_id)
            if row is None or row["finished_at"]:
                return
            structlog.contextvars.bind_contextvars(request_id=row["request_id"], background_task_id=str(task_id))

            async def progress(done: int, total: int) -> None:
                await tasks.report_progress(connection, task_id, done, total)

            await progress(0, row["total"])
            try:
                arguments = row["arguments"] | {"task_id": str(task_id), "request_id": row["request_id"]}
                result = await _HANDLERS[row["kind"]](at, arguments, progress)
            except batch.TRANSIENT as error:
                log.warning("task_interrupted", kind=row["kind"], error=repr(error))  # the sweeper resumes it
            except Paused:
                await tasks.put_back(connection, task_id)  # the sweeper takes it up until the pause is over
            except BillingError as refusal:
                await tasks.fail(connection, task_id, str(refusal))
            except Exception as error:
                log.exception("task_failed", kind=row["kind"])
                await tasks.fail(connection, task_id, f"An unexpected error: {error!r}")
            else:
                await tasks.finish(connection, task_id, result)
                log.info("task_done", kind=row["kind"], **result)
        finally:
            if not connection.is_closed():
                await locks.leave_task(connection, task_id)


async def _reevaluate(at: Runtime, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Judge the stale customers of partners by the present terms and rates."""
    judged = 0
    partner_ids = [UUID(each) for each in arguments["partner_ids"]]
    async with transaction(at.engine, readonly=True) as connection:
        total = sum([await rejudge.stale_customers(connection, partner_id) for partner_id in partner_ids])
    for partner_id in partner_ids:
        while count := await rejudge.rejudge_some_stale(at.engine, at.policies, partner_id):
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
        if not await batch.work_off_inbox(at.engine, at.policies, at.settings.task_max_leads):
            await asyncio.sleep(_PAUSE_S)
    while not await _freeze(at, arguments):
        await _reevaluate(at, {"partner_ids": [str(partner_id)]}, progress)
    version = await report_files.snapshot(at.engine, at.settings, partner_id, period)
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
                await tasks.remember(connection, UUID(arguments["task_id"]), {"frozen": True})
            return frozen
    finally:
        at.policies.forget()


async def _rebuild(at: Runtime, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Re-evaluate a report from its stored actions, correct what differs, and write a version if anything did."""
    partner_id, period = UUID(arguments["partner_id"]), arguments["period"]
    share_ids = await rebuilding.share_out(at, arguments)
    if len(share_ids) > 1:
        at.doorbell.ring(HELP, *map(str, share_ids), request_id=arguments["request_id"])
    judged, counters = await at_once(
        _judge_shares(at, share_ids, progress), rebuild.correct_counters(at.engine, at.policies, partner_id, period)
    )
    result: dict[str, Any] = judged | {"counters_corrected": counters}
    result["report_version"] = await report_files.snapshot(at.engine, at.settings, partner_id, period)
    return result


async def _judge_shares(at: Runtime, share_ids: list[UUID], progress: Progress) -> dict[str, Any]:
    """Run the shares that nobody has run, and wait for those that a helper is at."""
    while True:
        for share_id in share_ids:
            await rebuilding.together(at, share_ids, progress)
            await _run(at, share_id)
        judged = await rebuilding.together(at, share_ids, progress)
        if judged is not None:
            return judged
        await asyncio.sleep(_PAUSE_S)


async def _help(at: Runtime, task_ids: tuple[str, ...]) -> None:
    for task_id in reversed(task_ids):
        await _run(at, UUID(task_id))


async def _retry_quarantine(at: Runtime, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Evaluate quarantined leads again."""
    await pauses.refuse_if_paused(at.engine)
    if arguments["ids"] is not None:
        return {"released": await batch.replay_quarantine(at.engine, at.policies, 10_000, arguments["ids"])}
    released = 0
    while count := await batch.replay_quarantine(at.engine, at.policies):
        released += count
        await progress(released, released)
        await pauses.refuse_if_paused(at.engine)
    return {"released": released}


_HANDLERS: dict[str, Handler] = {
    "reevaluate": _reevaluate,
    "close": _close,
    "rebuild": _rebuild,
    tasks.REBUILD_SHARE: rebuilding.judge_share,
    "retry_quarantine": _retry_quarantine,
    "erase": erase,
}
