"""Entering adjustments and taking them back; a draft of the period takes the change over at once (B2, B5)."""

from uuid import UUID

from billing.bills.digest import digest_of
from billing.bills.lines import Adjustment
from billing.bills.states import Move, State
from billing.errors import RuleViolation
from billing.money import amount_from_minor
from billing.periods import name_of_period, text_from_period
from db.bills import adjustments, creation, facts, history, records
from db.contracts.issued_periods import issued_periods
from db.core import locks
from db.core.unit_of_work import UnitOfWork
from db.ledger.policies import Policies


async def enter(uow: UnitOfWork, policies: Policies, partner_id: UUID, period: int, adjustment: Adjustment) -> UUID:
    """Enter an adjustment of an existing partner; returns its id.

    A closed period without a live bill gets one by it (B1). RuleViolation if the period's bill was issued, or if the
    period lies before the first one that is billed.
    """
    await locks.lock_partners_shared(uow.connection, [partner_id])
    await _lock_unissued(uow, partner_id, period)
    await creation.first_to_bill(uow.connection, partner_id, period)
    adjustment_id = await adjustments.insert(uow.connection, uow.actor, partner_id, period, adjustment)
    facts_of_it = {
        "period": text_from_period(period),
        "text": adjustment.text,
        "amount": amount_from_minor(adjustment.amount_minor),
        "reason": adjustment.reason,
    }
    await uow.audit("adjustment.entered", adjustment_id, after=facts_of_it)
    await _adjust_draft(uow, partner_id, period, f"{adjustment.text}: {adjustment.reason}")
    if await _lacks_bill(uow, policies, partner_id, period):
        await creation.make_locked(uow, policies, [partner_id], period)
    return adjustment_id


async def take_back(uow: UnitOfWork, adjustment_id: UUID) -> bool:
    """Take an adjustment back; False if there is none with this id. RuleViolation if its period's bill was issued."""
    entry = await adjustments.read(uow.connection, adjustment_id)
    if entry is None:
        return False
    await _lock_unissued(uow, entry.partner_id, entry.period)
    if await adjustments.take_back(uow.connection, adjustment_id):
        await uow.audit("adjustment.taken_back", adjustment_id)
        await _adjust_draft(uow, entry.partner_id, entry.period, f"{entry.adjustment.text}: taken back")
    return True


async def _lacks_bill(uow: UnitOfWork, policies: Policies, partner_id: UUID, period: int) -> bool:
    """Whether a period is closed and has no live bill."""
    policy = (await policies.load(uow.connection, [partner_id]))[partner_id]
    return not policy.is_open(period) and await records.live_of(uow.connection, partner_id, period) is None


async def _lock_unissued(uow: UnitOfWork, partner_id: UUID, period: int) -> None:
    await locks.lock_bills_exclusive(uow.connection, partner_id)
    if period in await issued_periods(uow.connection, partner_id):
        raise RuleViolation(
            f"The bill of {name_of_period(period)} was issued; a credit note or a later period corrects it."
        )


async def _adjust_draft(uow: UnitOfWork, partner_id: UUID, period: int, comment: str) -> None:
    """Make the draft of the period anew. A bill that others review stays as it is, and is stale."""
    connection = uow.connection
    bill_id = await records.live_of(connection, partner_id, period)
    bill = await records.read(connection, bill_id) if bill_id else None
    if bill is None or bill.head.state is not State.DRAFT:
        return
    content = await facts.content_now(connection, partner_id, period)
    await records.write_content(connection, bill.head.id, content)
    draft = State.DRAFT
    await history.add(connection, bill.head.id, uow.actor, Move.ADJUST, draft, draft, digest_of(content), comment)
