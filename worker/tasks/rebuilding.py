"""Rebuilding a report: its customers are divided into ranges, one subtask each, which two processes can judge at once.

The process that runs the rebuild takes them from the first one on, another one from the last (`run_subtasks`).
"""

import asyncio
import time
from dataclasses import asdict
from typing import Any
from uuid import UUID

import asyncpg

from db.core.concurrently import run_concurrently
from db.core.engine import transaction
from db.ledger import rebuild as ledger
from db.ledger.rebuild import MOST_DIFFERENCES, CustomerRange, RangeResult
from db.tasks import records
from db.tasks.notifications import RUN_SUBTASKS
from worker.leads_first import leads_before_each_step
from worker.runner import Attempt, SubtaskFailed, TurnOver
from worker.tasks.reports import written_version

SUBTASK = "rebuild_range"
"""The kind of the tasks that a rebuild is divided into."""

FORMER_SUBTASK = "rebuild_share"
"""What 0.1 and 0.2.0 called it: a subtask that they left behind is still run. It goes with the next release."""

_SUBTASK_IDS = "subtask_ids"
"""The argument of a rebuild that holds them, once they are there."""

_FORMER_SUBTASK_IDS = "shares"
"""What 0.1 and 0.2.0 called it: a rebuild that they began goes on with its own subtasks."""

_COUNTERS = "counters_corrected"
"""The argument of a rebuild, and the part of its result, that says how many counters it has corrected."""

_COUNTED = "counted"
"""The argument of a rebuild that says that its counters were counted, in an earlier turn."""

TURN_S = 2.0
"""A rebuild that has worked for so long lets other tasks go first, after the subtask at hand."""

_POLL_INTERVAL_S = 0.1


async def rebuild(attempt: Attempt) -> dict[str, Any]:
    """Re-evaluate a report from its stored actions, correct what differs, and write a version if anything did."""
    runtime = attempt.runtime
    partner_id, period = UUID(attempt.task.arguments["partner_id"]), attempt.task.arguments["period"]
    subtask_ids = await create_subtasks(attempt)
    earlier = attempt.task.arguments.get(_COUNTERS, 0)  # in an earlier turn, or by an attempt that was killed

    async def remember(connection: asyncpg.Connection, corrected: int) -> None:
        await records.add_arguments(connection, attempt.task.id, {_COUNTERS: earlier + corrected})

    async def count() -> int:
        if _COUNTED in attempt.task.arguments:
            return 0
        corrected = await ledger.correct_counters(runtime.engine, runtime.policies, partner_id, period, remember)
        async with transaction(runtime.engine) as connection:
            await records.add_arguments(connection, attempt.task.id, {_COUNTED: True})
        return corrected

    judged, counters = await run_concurrently(_judge(attempt, subtask_ids), count())
    if judged is None:
        raise TurnOver
    result: dict[str, Any] = judged | {_COUNTERS: earlier + counters}
    return result | await written_version(runtime, partner_id, period)


async def judge_customers(attempt: Attempt) -> dict[str, Any]:
    """Judge the customers of one range again."""
    arguments = attempt.task.arguments
    until = UUID(arguments["until"]) if arguments["until"] else None
    customers = CustomerRange(UUID(arguments["first"]), until, arguments["customers"])
    partner_id, period = UUID(arguments["partner_id"]), arguments["period"]
    earlier = None
    if "judged_through" in arguments:
        earlier = UUID(arguments["judged_through"]), RangeResult(**arguments["so_far"])

    async def remember(connection: asyncpg.Connection, last: UUID, so_far: RangeResult) -> None:
        more = {"judged_through": last, "so_far": asdict(so_far)}
        await records.add_arguments(connection, attempt.task.id, more)

    runtime = attempt.runtime
    progress = leads_before_each_step(runtime, attempt.progress)
    return asdict(
        await ledger.judge_range(
            runtime.engine, runtime.policies, partner_id, period, customers, progress, remember, earlier
        )
    )


async def create_subtasks(attempt: Attempt) -> list[UUID]:
    """Divide a rebuild, once, and ask for another process's help if there is more than one subtask."""
    arguments, runtime = attempt.task.arguments, attempt.runtime
    for name in (_SUBTASK_IDS, _FORMER_SUBTASK_IDS):
        if name in arguments:
            return [UUID(each) for each in arguments[name]]
    report = {"partner_id": arguments["partner_id"], "period": arguments["period"]}
    ranges = await ledger.customer_ranges(
        runtime.engine, runtime.policies, UUID(report["partner_id"]), report["period"]
    )
    async with runtime.unit_of_work(attempt.task.request_id) as uow:
        subtask_ids = [
            await records.create(
                uow.connection,
                SUBTASK,
                report | asdict(each),
                uow.request_id,
                total=each.customers,
                parent_id=attempt.task.id,
            )
            for each in ranges
        ]
        await records.add_arguments(uow.connection, attempt.task.id, {_SUBTASK_IDS: subtask_ids})
        if len(subtask_ids) > 1:
            uow.notify(RUN_SUBTASKS, *map(str, subtask_ids))
    return subtask_ids


async def _judge(attempt: Attempt, subtask_ids: list[UUID]) -> dict[str, Any] | None:
    """Run the subtasks that nobody has run, and wait for the one that another process runs; None if time is up."""
    turn_ends = time.monotonic() + TURN_S
    await _report_progress(attempt, subtask_ids)  # of earlier turns
    while (judged := await _sum_of_results(attempt, subtask_ids)) is None:
        ran = False
        for subtask_id in subtask_ids:
            if await attempt.run(subtask_id):
                ran = True
                await _report_progress(attempt, subtask_ids)
                if time.monotonic() >= turn_ends:
                    break
        if time.monotonic() >= turn_ends:
            return await _sum_of_results(attempt, subtask_ids)
        if not ran:
            await asyncio.sleep(_POLL_INTERVAL_S)
    await _report_progress(attempt, subtask_ids)
    return judged


async def _sum_of_results(attempt: Attempt, subtask_ids: list[UUID]) -> dict[str, Any] | None:
    """The result of all subtasks; None while some are unfinished. If one failed, fails all and raises SubtaskFailed."""
    async with transaction(attempt.runtime.engine) as connection:
        subtasks = await records.read_all(connection, subtask_ids)
        errors = [each.error or "" for each in subtasks if each.state == "failed"]
        if errors:
            await records.fail(connection, subtask_ids, errors[0])
    if errors:
        raise SubtaskFailed(errors[0])
    results = [each.result for each in subtasks if each.result is not None]
    if len(results) < len(subtasks):
        return None
    sums = {name: sum(result[name] for result in results) for name in ("customers", "actions", "verdicts_corrected")}
    differences = [each for result in results for each in result["differences"]]
    return sums | {"differences": differences[:MOST_DIFFERENCES]}


async def _report_progress(attempt: Attempt, subtask_ids: list[UUID]) -> None:
    """Store how far all subtasks are together."""
    async with transaction(attempt.runtime.engine, readonly=True) as connection:
        await attempt.progress(*await records.progress_of_all(connection, subtask_ids))
