"""Disputes (B8, B9): a disputed bill gets no reminders, and credit covers it by hand only."""

from datetime import datetime
from uuid import UUID

from billing.bills.states import State
from billing.errors import RuleViolation
from db.account import booking
from db.bills import account_history, history, records
from db.core import locks
from db.core.unit_of_work import UnitOfWork

DISPUTE, END = "dispute", "end_dispute"


async def dispute(uow: UnitOfWork, bill_id: UUID, seen_digest: str, reason: str | None, now: datetime) -> bool:
    """Say why an issued bill is disputed, or None: it is not any more; False if there is no such bill.

    The same again changes nothing. Once a dispute has ended, credit that is left is used for the bill. RuleViolation
    for a bill that is not issued, for a credit note, and for another digest than that of the bill.
    """
    connection = uow.connection
    partner_id = await records.partner_of(connection, bill_id)
    if partner_id is None:
        return False
    await locks.lock_bills_exclusive(connection, partner_id)
    bill = await records.read(connection, bill_id)
    assert bill is not None
    head = bill.head
    if head.corrects_id or head.state is not State.ISSUED:
        raise RuleViolation("Only an issued bill is disputed.")
    if head.digest != seen_digest:
        raise RuleViolation(f"The bill has changed since you saw it: its digest is {head.digest}.")
    if head.dispute == reason:
        return True
    await records.write_dispute(connection, bill_id, reason)
    move = DISPUTE if reason else END
    await history.add(connection, bill_id, uow.actor, move, head.state, head.state, head.digest, reason)
    await uow.audit("bill.disputed" if reason else "bill.dispute_ended", bill_id, after={"reason": reason})
    if reason is None:
        await account_history.add(uow, await booking.settle(uow, partner_id, now), "the dispute has ended")
    return True
