"""Making the bills of closed periods (B1): one live bill per partner and period, the oldest period first."""

from datetime import datetime
from uuid import UUID, uuid4

import asyncpg

from billing.bills.digest import digest_of
from billing.bills.states import Move, State
from billing.bills.values import is_skipped
from billing.errors import RuleViolation
from billing.periods import name_of_period, periods_between
from billing.policy import Policy
from db.bills import facts, history, records
from db.contracts.billing_settings import first_billed_period
from db.core import locks
from db.core.unit_of_work import UnitOfWork
from db.intake import inbox
from db.ledger.policies import Policies
from db.tasks import records as tasks

KIND = "make_bill"
"""The kind of the background task."""


async def request(uow: UnitOfWork, policies: Policies, partner_id: UUID, period: int, now: datetime) -> UUID | None:
    """Start the task that makes the bill of a period and of each before it that has none; returns its id.

    None if there is a live bill. RuleViolation if the period has not ended or lies before the first one that is billed.
    """
    connection = uow.connection
    await locks.lock_partners_shared(connection, [partner_id])
    if await records.live_of(connection, partner_id, period):
        return None
    policy = (await policies.load(connection, [partner_id]))[partner_id]
    if now < policy.calendar.end_of(period):
        raise RuleViolation(f"{name_of_period(period)} has not ended yet, so it has no bill.")
    await first_to_bill(connection, partner_id, period)
    arguments = {
        "partner_id": partner_id,
        "period": period,
        "newest_waiting": await inbox.newest_waiting(connection),
    }
    return await tasks.start(uow, KIND, arguments, dedup_key=f"{partner_id} {period}")


async def first_to_bill(connection: asyncpg.Connection, partner_id: UUID, period: int) -> int:
    """The first period of the partner that is billed; RuleViolation if `period` lies before it."""
    first = await first_billed_period(connection, partner_id)
    if first is None:
        return period
    if period < first:
        raise RuleViolation(f"Billing of this partner begins with {name_of_period(first)}.")
    return first


async def periods_without_bill(connection: asyncpg.Connection, partner_id: UUID, through: int) -> list[int]:
    """The periods through one that have no live bill, the oldest first; those that were skipped are among them."""
    first = await first_to_bill(connection, partner_id, through)
    rows = await connection.fetch(
        """
        SELECT period FROM bills WHERE partner_id = $1 AND corrects_id IS NULL AND state NOT IN ('void', 'cancelled')
        """,
        partner_id,
    )
    live = {row["period"] for row in rows}
    return [month for month in periods_between(first, through) if month not in live]


async def make(uow: UnitOfWork, policies: Policies, partner_id: UUID, period: int) -> UUID | None:
    """Make the bill of a closed period as a draft; its id, or that of the live one; None if the period is skipped.

    RuleViolation if the period is open, as it is when somebody has reopened it meanwhile.
    """
    connection = uow.connection
    await locks.lock_partners_shared(connection, [partner_id])
    await locks.lock_bills_exclusive(connection, partner_id)
    live = await records.live_of(connection, partner_id, period)
    if live:
        return live
    policy: Policy = (await policies.load(connection, [partner_id]))[partner_id]
    if policy.is_open(period):
        raise RuleViolation(f"{name_of_period(period)} is open, so it has no bill yet.")
    content = await facts.content_now(connection, partner_id, period)
    if is_skipped(content.lines):
        return None
    bill_id = uuid4()
    await records.insert(connection, bill_id, partner_id, content)
    digest = digest_of(content)
    await history.add(connection, bill_id, uow.actor, Move.CREATE, None, State.DRAFT, digest)
    await uow.audit("bill.create", bill_id, after={"state": State.DRAFT, "digest": digest})
    return bill_id
