"""Runs of the monthly billing: divided into portions of partners, which two processes can bill at once (M1, M3)."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import UUID

import structlog
from celery import shared_task

from billing.periods import text_from_period
from db.core import locks
from db.core.engine import commit_asynchronously, transaction
from db.core.errors import TRANSIENT
from db.core.unit_of_work import UnitOfWork
from db.intake import inbox
from db.intake.closing_request import decide_accepted_before
from db.ledger import closing, reevaluation
from db.runs import approved, billing, differences, planning, records, scheduler
from db.runs.billing import CustomersStale
from db.runs.records import Item, Run
from db.tasks import records as tasks
from db.tasks.notifications import RUN_SUBTASKS, START_DUE_RUN
from db.tasks.records import Task
from worker import process
from worker.runner import Attempt, GoesOnLater, TurnOver
from worker.runtime import Runtime
from worker.tasks import dry_runs, fraud, run_failures

log = structlog.get_logger()

TURN_S = 2.0
"""A run that has worked for so long lets other tasks go first, after the portion at hand."""

PARTNERS_AT_ONCE = 20
"""So many small partners share a transaction: each statement then bills all of them."""

_POLL_INTERVAL_S = 0.1
_NEWEST = "newest_waiting"
"""The argument of a run's task that holds the newest row of the inbox that waited when the run began."""

_PORTIONS = "portions"
"""The argument of a run's task that holds the ids of its portions, once it is planned."""


@shared_task(name=START_DUE_RUN)
def start_due_run() -> None:
    """Look for what is due, and start a run if something is."""
    process.run(look)


async def look(runtime: Runtime) -> bool:
    """Start a run if something is due; whether something was."""
    async with runtime.unit_of_work() as uow:
        return await scheduler.start_if_due(uow, runtime.settings, datetime.now(UTC))


async def run_billing(attempt: Attempt) -> dict[str, Any]:
    """Bill all that a run asks for. Killed, it goes on: an item ends in the transaction of its bill."""
    runtime, turn_ends = attempt.runtime, time.monotonic() + TURN_S
    async with transaction(runtime.engine, readonly=True) as connection:
        run = await records.read(connection, UUID(attempt.task.arguments["run_id"]))
    assert run is not None
    portion_ids = await _plan(attempt, run)
    while unfinished := await _unfinished(attempt, run, portion_ids):
        ran = False
        for portion_id in unfinished:
            if await attempt.run(portion_id):
                ran = True
                if time.monotonic() >= turn_ends:
                    raise TurnOver
        if time.monotonic() >= turn_ends:
            raise TurnOver
        if not ran:
            await asyncio.sleep(_POLL_INTERVAL_S)
    await _try_again(runtime, run)
    async with runtime.unit_of_work(attempt.task.request_id, run.who) as uow:
        await records.finish(uow, run.id)
        found = (await records.figures(uow.connection, [run.id]))[run.id]
    return {"run_id": str(run.id)} | {outcome.value: count for outcome, count in found.ended.items()}


async def end_failed(uow: UnitOfWork, task: Task, error: str) -> None:
    """End a run whose task has failed for good; what it has not billed is due for the next one."""
    run_id = task.arguments["run_id"]
    await records.finish(uow, UUID(run_id), error)
    log.error("billing_run_failed", run_id=run_id, error=error)


async def bill_portion(attempt: Attempt) -> dict[str, Any]:
    """Bill the partners of one portion of a run; what fails is tried again later, by the run."""
    arguments, runtime = attempt.task.arguments, attempt.runtime
    async with transaction(runtime.engine, readonly=True) as connection:
        run = await records.read(connection, UUID(arguments["run_id"]))
        items = await records.open_items(connection, UUID(arguments["run_id"]), arguments["portion"])
    assert run is not None
    await bill_items(runtime, run, items)
    return {"items": len(items)}


async def explain_difference(attempt: Attempt) -> dict[str, Any]:
    """Say why a partner's month differs from the month before."""
    arguments = attempt.task.arguments
    async with transaction(attempt.runtime.engine, readonly=True) as connection:
        return await differences.explain(connection, UUID(arguments["partner_id"]), arguments["period"])


async def bill_items(runtime: Runtime, run: Run, items: Sequence[Item]) -> None:
    """Bill items, the oldest period first; a failure stops only that partner's later periods."""
    if run.asked.dry_run:
        await dry_runs.try_items(runtime, run, items)
        return
    stopped: set[UUID] = set()
    async with transaction(runtime.engine, readonly=True) as connection:
        await runtime.policies.load(connection, {item.partner_id for item in items})  # in few statements
    for period, of_period in groupby(items, attrgetter("period")):
        free = [item for item in of_period if item.partner_id not in stopped]
        is_screened = await _screen_together(runtime, run, free, period)
        for start in range(0, len(free), PARTNERS_AT_ONCE):
            together = free[start : start + PARTNERS_AT_ONCE]
            stopped |= await _bill_or_fail(runtime, run, together, is_screened=is_screened)


async def _screen_together(runtime: Runtime, run: Run, items: Sequence[Item], period: int) -> bool:
    """Screen a month of many partners at once; False if each is to be screened by itself, so that one fails alone."""
    try:
        await fraud.screen(runtime, [item.partner_id for item in items], period, run.request_id)
    except TRANSIENT:
        raise
    except Exception:
        log.exception("fraud_screen_failed", run_id=str(run.id), partners=len(items), period=text_from_period(period))
        return False
    return True


async def _plan(attempt: Attempt, run: Run) -> list[UUID]:
    """Settle what a run bills, once, after the leads that were accepted before are decided."""
    runtime = attempt.runtime
    if _PORTIONS in attempt.task.arguments:
        portion_ids = [UUID(each) for each in attempt.task.arguments[_PORTIONS]]
        if attempt.task.attempts > 1:  # whoever was killed with it may have been the one who helps
            async with runtime.unit_of_work(attempt.task.request_id) as uow:
                uow.notify(RUN_SUBTASKS, *map(str, portion_ids))
        return portion_ids
    await _decide_accepted(attempt, run)
    async with runtime.unit_of_work(attempt.task.request_id) as uow:
        connection, now = uow.connection, datetime.now(UTC)
        if run.asked.trigger == "schedule":
            found = await scheduler.due_now(connection, runtime.settings, now)
        else:
            asked: dict[str, Any] = {"through": run.asked.period, "partner_ids": run.asked.partner_ids}
            unissued = await approved.to_issue(connection, now, **asked)
            found = planning.together(unissued, await planning.due(connection, now, **asked))
        portions = planning.portions(found)
        await records.plan(connection, run.id, portions)
        portion_ids = [
            await tasks.create(
                connection,
                records.PORTION,
                {"run_id": run.id, "portion": number},
                uow.request_id,
                total=len(portion),
                parent_id=attempt.task.id,
            )
            for number, portion in enumerate(portions)
        ]
        await tasks.add_arguments(connection, attempt.task.id, {_PORTIONS: portion_ids})
        if len(portion_ids) > 1:
            uow.notify(RUN_SUBTASKS, *map(str, portion_ids))
    return portion_ids


async def _decide_accepted(attempt: Attempt, run: Run) -> None:
    """Leads that were accepted before the run are decided first; a dry run waits for the workers that do it."""
    runtime, newest = attempt.runtime, attempt.task.arguments.get(_NEWEST)
    async with transaction(runtime.engine) as connection:
        if newest is None:
            newest = await inbox.newest_waiting(connection)
            await tasks.add_arguments(connection, attempt.task.id, {_NEWEST: newest})
        waiting = await inbox.waiting_up_to(connection, newest)
    if waiting and run.asked.dry_run:
        raise GoesOnLater(runtime.settings.sweep_interval_s)
    if waiting:
        most_leads = runtime.settings.task_max_leads
        await decide_accepted_before(runtime.engine, runtime.policies, newest, most_leads, attempt.progress)


async def _unfinished(attempt: Attempt, run: Run, portion_ids: Sequence[UUID]) -> list[UUID]:
    """The portions that have not ended; stores how far the run is."""
    async with transaction(attempt.runtime.engine, readonly=True) as connection:
        found = (await records.figures(connection, [run.id]))[run.id]
        unfinished = await tasks.unfinished(connection, portion_ids)
    await attempt.progress(found.processed, found.total)
    return unfinished


async def _try_again(runtime: Runtime, run: Run) -> None:
    """Bill what is open still and due for another attempt; raises GoesOnLater while something waits for one."""
    async with transaction(runtime.engine, readonly=True) as connection:
        items = await records.open_items(connection, run.id)
    now = datetime.now(UTC)
    not_yet = {item.partner_id: item.next_attempt_at for item in items if item.next_attempt_at}
    await bill_items(runtime, run, [item for item in items if not_yet.get(item.partner_id, now) <= now])
    async with transaction(runtime.engine, readonly=True) as connection:
        waits = [item.next_attempt_at for item in await records.open_items(connection, run.id) if item.next_attempt_at]
    if waits:
        raise GoesOnLater(max((min(waits) - datetime.now(UTC)).total_seconds(), 0.0))


async def _bill_or_fail(runtime: Runtime, run: Run, items: Sequence[Item], *, is_screened: bool) -> set[UUID]:
    """Bill a period of some partners together, or of each by itself if that fails; returns whose later ones stop."""
    try:
        if not is_screened:
            ids = [item.partner_id for item in items]
            await fraud.screen(runtime, ids, items[0].period, run.request_id)
        while not await _bill_together(runtime, run, items):
            await _judge_stale(runtime, items)
    except Exception as error:
        if not run_failures.is_of_the_partner(error):
            raise
        if len(items) > 1:
            alone = [await _bill_or_fail(runtime, run, [item], is_screened=is_screened) for item in items]
            return set().union(*alone)
        await run_failures.note(runtime, run, items[0], error)
        return {items[0].partner_id}
    return set()


async def _judge_stale(runtime: Runtime, items: Sequence[Item]) -> None:
    """Judge stale customers of partners by the present terms."""
    while await reevaluation.rejudge_some_stale(runtime.engine, runtime.policies, [item.partner_id for item in items]):
        pass
    await asyncio.sleep(_POLL_INTERVAL_S)  # others may have the last ones


async def _bill_together(runtime: Runtime, run: Run, items: Sequence[Item]) -> bool:
    """Bill a period of some partners in one transaction; False if customers of theirs must be judged first.

    What a run makes has the system as its maker, whoever started it.
    """
    if items[0].is_large:
        await _freeze(runtime, run, items[0])
    try:
        async with runtime.unit_of_work(run.request_id) as uow:
            await commit_asynchronously(uow.connection)  # what a crash undoes is open again
            free = await locks.lock_run_items(uow.connection, [item.id for item in items])
            ids = {item.partner_id: item.id for item in items if item.id in free}
            if ids:
                billed = await billing.bill(
                    uow,
                    runtime.policies,
                    sorted(ids),
                    items[0].period,
                    datetime.now(UTC),
                    threshold_percent=runtime.settings.billing_threshold_percent,
                )
                await records.finish_items(uow.connection, {ids[of]: result for of, result in billed.items()})
    except CustomersStale:
        return False
    return True


async def _freeze(runtime: Runtime, run: Run, item: Item) -> None:
    """Close the months of a large partner in a transaction of their own, so that its leads wait only for that."""
    async with transaction(runtime.engine, readonly=True) as connection:
        policy = (await runtime.policies.load(connection, [item.partner_id]))[item.partner_id]
        months = []
        if policy.is_open(item.period) and not await billing.without_bill(connection, [item.partner_id], item.period):
            months = await closing.periods_to_close(connection, policy, item.period, datetime.now(UTC))
    for month in months:
        unit_of_work = partial(runtime.unit_of_work, run.request_id)
        await closing.freeze(runtime.engine, unit_of_work, runtime.policies, item.partner_id, month, datetime.now(UTC))
