"""Reminding partners of overdue bills, and telling people of ours what waits for them, on a schedule."""

from datetime import UTC, datetime
from typing import Any

import structlog
from celery import shared_task

from db.bills.mail import notices, reminders, return_notices
from db.core.actor import SYSTEM, Actor
from db.core.engine import transaction
from db.tasks.notifications import REMIND, TELL_PEOPLE
from worker import process
from worker.runner import Attempt
from worker.runtime import Runtime

log = structlog.get_logger()

_MOST_AT_ONCE = 500


@shared_task(name=REMIND)
def remind() -> None:
    """Remind partners of bills that have reached a step."""
    process.run(remind_all)


@shared_task(name=TELL_PEOPLE)
def tell_people() -> None:
    """Tell people which bills and returns wait for them."""
    process.run(tell_all)


async def remind_now(attempt: Attempt) -> dict[str, Any]:
    """The same as the schedule does, because somebody asked; the result counts reminders."""
    return await remind_all(attempt.runtime, attempt.task.request_id, attempt.task.requested_by or SYSTEM)


async def remind_all(runtime: Runtime, request_id: str = "", actor: Actor = SYSTEM) -> dict[str, Any]:
    """Remind of every bill that is due for it, each in a transaction of its own; counts what was and was not sent."""
    steps, now, after = runtime.settings.reminder_days, datetime.now(UTC), None
    counts = {"reminded": 0, "not_sent": 0}
    while True:
        async with transaction(runtime.engine, readonly=True) as connection:
            found = await reminders.candidates(connection, steps, now, after=after, limit=_MOST_AT_ONCE)
        for bill_id in found:
            async with runtime.unit_of_work(request_id, actor) as uow:
                reminder = await reminders.remind(uow, bill_id, steps, now)
            if reminder:
                counts["reminded" if reminder.mail else "not_sent"] += 1
        if len(found) < _MOST_AT_ONCE:
            log.info("partners_reminded", **counts)
            return counts
        after = found[-1]


async def tell_all(runtime: Runtime) -> None:
    """Write the mails, one to each person of bills, and one of returns."""
    async with runtime.unit_of_work() as uow:
        told = await notices.collect(uow, runtime.settings.api_base_url) + await return_notices.collect(uow)
    if told:
        log.info("people_told", people=told)
