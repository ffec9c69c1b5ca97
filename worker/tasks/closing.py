"""Closing months (R11): waiting for the leads accepted before, freezing the verdicts, writing the final reports."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from billing.money import amount_from_minor
from billing.periods import next_period, periods_between, text_from_period
from db.core.actor import SYSTEM
from db.core.engine import transaction
from db.core.unit_of_work import UnitOfWork
from db.intake import undecided
from db.intake.closing_request import decide_accepted_before
from db.ledger import closing, periods
from db.tasks import records
from worker.runner import Attempt
from worker.tasks.reports import written_version


async def close(attempt: Attempt) -> dict[str, Any]:
    """Close a partner's open months through the one asked for, once what was accepted before is decided.

    The result has the figures of each month that it closed, and what of them is still not billed.
    """
    arguments, runtime = attempt.task.arguments, attempt.runtime
    partner_id, through = UUID(arguments["partner_id"]), arguments["period"]
    first = arguments.get("from", through)
    most_leads = runtime.settings.task_max_leads
    await decide_accepted_before(
        runtime.engine, runtime.policies, arguments["newest_waiting"], most_leads, attempt.progress
    )
    with_earlier = bool(arguments.get("with_earlier"))
    first_open = await _first_open(attempt, partner_id) if with_earlier else 0  # another may have closed
    for month in periods_between(max(_next_to_close(attempt, first), first_open), through):
        await closing.freeze(
            runtime.engine,
            partial(runtime.unit_of_work, attempt.task.request_id, attempt.task.requested_by or SYSTEM),
            runtime.policies,
            partner_id,
            month,
            datetime.now(UTC),
            also=partial(_remember, attempt.task.id, month),
        )
    written: dict[str, Any] = {}
    for number, month in enumerate(closed := list(periods_between(first, through)), 1):
        written |= await written_version(runtime, partner_id, month)
        await attempt.progress(number, len(closed))
    return {"closed": True} | written | await _figures(attempt, partner_id, first, through, with_earlier)


def _next_to_close(attempt: Attempt, first: int) -> int:
    """The month after the last one that an earlier attempt froze: what somebody has reopened since stays open."""
    frozen = attempt.task.arguments.get("frozen")
    if frozen is True:  # a release before 0.3, which closed one month at a time
        frozen = attempt.task.arguments["period"]
    return next_period(frozen) if frozen else first


async def _first_open(attempt: Attempt, partner_id: UUID) -> int:
    async with transaction(attempt.runtime.engine) as connection:
        return (await attempt.runtime.policies.load(connection, [partner_id]))[partner_id].first_open


async def _remember(task_id: UUID, month: int, uow: UnitOfWork) -> None:
    await records.add_arguments(uow.connection, task_id, {"frozen": month})


async def _figures(attempt: Attempt, partner_id: UUID, first: int, through: int, with_earlier: bool) -> dict[str, Any]:
    runtime = attempt.runtime
    async with transaction(runtime.engine, readonly=True) as connection:
        policy = (await runtime.policies.load(connection, [partner_id]))[partner_id]
        months = await periods.figures(connection, policy, first, through)
        left = await undecided.count(connection, policy, through, with_earlier=with_earlier)
    return {
        "currency": policy.currency,
        "periods": [
            {
                "period": text_from_period(month.period),
                "billed": amount_from_minor(month.billed_minor),
                "credited": amount_from_minor(month.credited_minor),
                "net": amount_from_minor(month.billed_minor - month.credited_minor),
            }
            for month in months
        ],
        "undecided": result_from_undecided(left),
    }


def result_from_undecided(left: undecided.Undecided) -> dict[str, Any]:
    """What a task that closed months says of the leads that would have been billed in them."""
    return {
        "quarantined": left.quarantined,
        "unknown_product": left.unknown_product,
        "dead_letters": left.dead_letters,
        "complete": left.complete,
    }
