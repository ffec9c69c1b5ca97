"""Writing off what is open of a bill, and taking that back (B9)."""

from datetime import datetime
from uuid import UUID, uuid4

import asyncpg

from billing.bills.account import EntryKind, check_write_off, write_off_minor
from billing.bills.tax import tax_on
from billing.errors import RuleViolation
from billing.money import amount_from_minor
from db.account import booking, entries
from db.account.entries import NewEntry
from db.bills import account_history, history, records
from db.bills.records import Bill
from db.contracts import seller
from db.core import locks
from db.core.unit_of_work import UnitOfWork

WRITE_OFF, TAKE_BACK = "write_off", "take_back_write_off"


async def write_off(uow: UnitOfWork, bill_id: UUID, reason: str, is_admin: bool, now: datetime) -> bool:
    """Write off what is open of an issued bill; False if there is no such bill. Again it changes nothing.

    RuleViolation if nothing is open that is not credited already, and for more than a small amount unless an Admin
    does it.
    """
    bill = await _locked(uow, bill_id)
    if bill is None:
        return False
    head = bill.head
    if head.number is None:
        raise RuleViolation(f"The bill is {head.state}; only an issued one is written off.")
    if head.was_written_off:
        return True
    amount = write_off_minor(head.open_minor, await credited_not_billed_minor(uow.connection, bill))
    named = await seller.read(uow.connection)
    check_write_off(amount, is_admin, (named and named.small_amount_minor) or 0)
    entry = NewEntry(uuid4(), EntryKind.WRITE_OFF, -amount, head.number, bill_id=bill_id, reason=reason)
    uses = await booking.book(uow, head.partner_id, entry, now)
    assert uses is not None
    comment = f"{amount_from_minor(amount)}: {reason}"
    await history.add(uow.connection, bill_id, uow.actor, WRITE_OFF, head.state, head.state, head.digest, comment)
    await uow.audit("bill.written_off", bill_id, after={"amount": amount_from_minor(amount), "reason": reason})
    await account_history.add(uow, uses, f"write-off of {head.number}", but=bill_id)
    return True


async def take_back(uow: UnitOfWork, bill_id: UUID, reason: str, now: datetime) -> bool:
    """Take a write-off back, so that the bill is open again; False if there is no bill that was written off."""
    bill = await _locked(uow, bill_id)
    entry = await entries.standing_write_off(uow.connection, bill_id)
    if bill is None or entry is None:
        return False
    head = bill.head
    uses = await booking.reverse(uow, entry, reason, now)
    await history.add(uow.connection, bill_id, uow.actor, TAKE_BACK, head.state, head.state, head.digest, reason)
    await uow.audit("bill.write_off_taken_back", bill_id, after={"reason": reason})
    await account_history.add(uow, uses, f"write-off of {head.number} taken back", but=bill_id)
    return True


async def credited_not_billed_minor(connection: asyncpg.Connection, bill: Bill) -> int:
    """What was credited for returned actions of a bill, with its tax, and comes with a bill that is not issued yet."""
    net: int = await connection.fetchval(
        """
        SELECT coalesce(sum(credits.amount_minor), 0)::bigint
        FROM credits JOIN actions ON actions.id = credits.action_id
        WHERE credits.partner_id = $1 AND actions.billing_period = $2 AND NOT EXISTS (
            SELECT FROM bills WHERE bills.partner_id = $1 AND bills.period = credits.period
                AND corrects_id IS NULL AND state = 'issued'
        )
        """,
        bill.head.partner_id,
        bill.head.period,
    )
    tax = bill.content.terms.tax
    return net + (tax_on(net, tax) if tax else 0)


async def _locked(uow: UnitOfWork, bill_id: UUID) -> Bill | None:
    partner_id = await records.partner_of(uow.connection, bill_id)
    if partner_id is None:
        return None
    await locks.lock_bills_exclusive(uow.connection, partner_id)
    return await records.read(uow.connection, bill_id)
