"""Making bills: closing what is open, then one draft per period, the oldest first (B1); files and replays of bills."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from billing.errors import RuleViolation
from billing.periods import text_from_period
from db.bills import creation, records, replay
from db.bills.files import stored
from db.bills.mail import sending
from db.core.actor import SYSTEM
from db.core.engine import commit_asynchronously, transaction
from db.intake import undecided
from db.intake.closing_request import decide_accepted_before
from db.ledger import closing
from db.reports import snapshots
from worker.runner import Attempt
from worker.tasks.closing import result_from_undecided


async def make_bill(attempt: Attempt) -> dict[str, Any]:
    """Make the bill of a period and of each before it that has none; open ones are closed for it.

    The result has the bill of each period, None of one that is skipped, and what of these periods is still not billed.
    What an earlier attempt did is found done.
    """
    arguments, runtime = attempt.task.arguments, attempt.runtime
    partner_id, through = UUID(arguments["partner_id"]), arguments["period"]
    await decide_accepted_before(
        runtime.engine, runtime.policies, arguments["newest_waiting"], runtime.settings.task_max_leads, attempt.progress
    )
    for month in await _open_months(attempt, partner_id, through):
        await closing.freeze(
            runtime.engine,
            partial(runtime.unit_of_work, attempt.task.request_id, attempt.task.requested_by or SYSTEM),
            runtime.policies,
            partner_id,
            month,
            datetime.now(UTC),
        )
    async with transaction(runtime.engine, readonly=True) as connection:
        months = await creation.periods_without_bill(connection, partner_id, through)
        policy = (await runtime.policies.load(connection, [partner_id]))[partner_id]
        left = await undecided.count(connection, policy, through, with_earlier=True)
    made: dict[str, UUID | None] = {}
    for number, month in enumerate(months, 1):
        await snapshots.snapshot(runtime.engine, runtime.settings, partner_id, month)  # a bill names the final version
        async with runtime.unit_of_work(attempt.task.request_id, attempt.task.requested_by or SYSTEM) as uow:
            made[text_from_period(month)] = await creation.make(uow, runtime.policies, partner_id, month)
        await attempt.progress(number, len(months))
    bills = {period: bill_id and str(bill_id) for period, bill_id in made.items()}
    return {"bills": bills, "undecided": result_from_undecided(left)}


async def _open_months(attempt: Attempt, partner_id: UUID, through: int) -> list[int]:
    policies, now = attempt.runtime.policies, datetime.now(UTC)
    async with transaction(attempt.runtime.engine, readonly=True) as connection:
        policy = (await policies.load(connection, [partner_id]))[partner_id]
        if not policy.is_open(through):
            return []
        return await closing.periods_to_close(connection, policy, through, now)


async def make_files(attempt: Attempt) -> dict[str, Any]:
    """Make the files of an issued bill, and send it if its partner wants that; the result has the checksum of each.

    `not_sent` says why a bill that was to be sent could not be.
    """
    bill_id, runtime = UUID(attempt.task.arguments["bill_id"]), attempt.runtime
    async with transaction(runtime.engine, readonly=True) as connection:
        bill = await records.read(connection, bill_id)
    assert bill is not None
    files = await stored.make(runtime.settings, bill)
    async with transaction(runtime.engine) as connection:
        await commit_asynchronously(connection)  # what a crash undoes the task does again
        await stored.remember(connection, bill_id, files)
        is_wanted = await sending.is_wanted(connection, bill.head.partner_id)
    checksums = {file.format.value: file.sha256 for file in files}
    if is_wanted:
        try:
            async with runtime.unit_of_work(attempt.task.request_id, attempt.task.requested_by or SYSTEM) as uow:
                await sending.send_once(uow, bill_id)
        except RuleViolation as refused:
            return {"files": checksums, "not_sent": str(refused)}
    return {"files": checksums}


async def replay_bill(attempt: Attempt) -> dict[str, Any]:
    """Replay a bill (B11); the result has the first difference, None if both are equal."""
    bill_id, runtime = UUID(attempt.task.arguments["bill_id"]), attempt.runtime
    async with transaction(runtime.engine, readonly=True) as connection:
        bill = await records.read(connection, bill_id)
        assert bill is not None
        difference = await replay.difference(connection, runtime.policies, bill)
    return {"number": bill.head.number, "difference": difference}
