"""Reopening a period (R11) voids its bill, unless that was issued: then the period stays closed."""

from uuid import UUID

from billing.bills.states import Move, State
from db.bills import history, records
from db.core import locks
from db.core.unit_of_work import UnitOfWork
from db.ledger import closing
from db.ledger.policies import Policies

_REASON = "The period was reopened."


async def reopen(uow: UnitOfWork, policies: Policies, partner_id: UUID, period: int) -> UUID:
    """Reopen a period and void its bill; returns the task that judges the partner's customers again.

    Raises RuleViolation if the period cannot be reopened now.
    """
    task_id = await closing.reopen(uow, policies, partner_id, period)
    await locks.lock_bills_exclusive(uow.connection, partner_id)
    await closing.check_not_issued(uow.connection, partner_id, period)
    bill_id = await records.live_of(uow.connection, partner_id, period)
    bill = await records.read(uow.connection, bill_id) if bill_id else None
    if bill:
        head = bill.head
        await records.write_state(uow.connection, head.id, State.VOID)
        await history.add(uow.connection, head.id, uow.actor, Move.VOID, head.state, State.VOID, head.digest, _REASON)
        await uow.audit("bill.void", head.id, before={"state": head.state}, after={"state": State.VOID})
    return task_id
