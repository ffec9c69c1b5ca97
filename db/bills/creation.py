"""Making the bills of closed periods (B1): one live bill per partner and period, the oldest period first."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.bills.states import Move, State
from billing.bills.values import is_skipped
from billing.errors import RuleViolation
from billing.periods import name_of_period, periods_between
from db.bills import facts, history, records
from db.bills.drafts import Draft, draft_from_content
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
    draft = (await make_locked(uow, policies, [partner_id], period)).get(partner_id)
    return draft.bill_id if draft else None


async def make_locked(
    uow: UnitOfWork, policies: Policies, partner_ids: Sequence[UUID], period: int
) -> dict[UUID, Draft]:
    """The drafts of partners without a live bill, whose locks are held; those whose period is skipped have none."""
    connection = uow.connection
    loaded = await policies.load(connection, partner_ids)
    if any(policy.is_open(period) for policy in loaded.values()):
        raise RuleViolation(f"{name_of_period(period)} is open, so it has no bill yet.")
    contents = await facts.contents_now(connection, partner_ids, period)
    drafts = {
        partner_id: draft_from_content(content)
        for partner_id, content in contents.items()
        if not is_skipped(content.lines)
    }
    await records.insert_all(connection, drafts.items())
    made = [(draft.bill_id, None, State.DRAFT, draft.digest, None) for draft in drafts.values()]
    await history.add_all(connection, uow.actor, Move.CREATE, made)
    after = [(each.bill_id, None, {"state": State.DRAFT, "digest": each.digest}) for each in drafts.values()]
    await uow.audit_all("bill.create", after)
    return drafts
