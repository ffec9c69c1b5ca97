"""Closing a period waits for the leads that were accepted before the request (R11)."""

import asyncio
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from billing.periods import next_period
from db.core import locks
from db.core.engine import transaction
from db.core.unit_of_work import UnitOfWork
from db.intake import inbox, worker_batch
from db.ledger import closing
from db.ledger.policies import Policies
from db.tasks import pauses
from db.tasks import records as tasks
from db.tasks.records import Progress

KIND = "close"
"""The kind of its background task."""

_PAUSE_S = 0.1


async def request_close(
    uow: UnitOfWork, policies: Policies, partner_id: UUID, period: int, now: datetime, *, with_earlier: bool = False
) -> UUID:
    """Start the task that closes a period, `with_earlier` every open one before it too, and return its id.

    `with_earlier` may be repeated: with nothing open the task closes nothing. Raises RuleViolation if the period cannot
    be closed now. The task remembers the newest waiting row of the inbox: leads accepted later need not be decided.
    """
    connection = uow.connection
    await locks.lock_partners_shared(connection, [partner_id])
    policy = (await policies.load(connection, [partner_id]))[partner_id]
    first = period
    if not with_earlier:
        await closing.check_can_close(connection, policy, period, now)
    elif policy.is_open(period):
        first, *_ = await closing.periods_to_close(connection, policy, period, now)
    else:
        first = next_period(period)
    newest = await inbox.newest_waiting(connection)
    arguments = {
        "partner_id": partner_id,
        "from": first,
        "period": period,
        "with_earlier": with_earlier,
        "newest_waiting": newest,
    }
    return await tasks.start(uow, KIND, arguments)


async def decide_accepted_before(
    engine: AsyncEngine, policies: Policies, newest_waiting: int, most_leads: int, progress: Progress
) -> None:
    """Return once no row of the inbox up to `newest_waiting` waits; decides leads until then, `most_leads` at a time.

    Each batch is a transaction of its own. Raises Paused while the workers are paused.
    """
    total: int | None = None
    while True:
        async with transaction(engine, readonly=True) as connection:
            waiting = await inbox.waiting_up_to(connection, newest_waiting)
        total = waiting if total is None else total
        await progress(total - waiting, total)
        if not waiting:
            return
        await pauses.refuse_if_paused(engine)
        if not await worker_batch.process_inbox(engine, policies, most_leads):
            await asyncio.sleep(_PAUSE_S)  # other workers have the rows
