"""Sending issued bills and credit notes (B6): the mail and a bill action in one transaction."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg

from billing.bills.states import State
from billing.errors import RuleViolation
from db.bills import records, reviews
from db.bills.mail import composing
from db.bills.mail.composing import PartnerMail
from db.bills.mail.letters import bill_letter
from db.bills.records import Bill
from db.core import locks
from db.core.unit_of_work import UnitOfWork
from db.mail import outgoing
from db.mail.outgoing import MailKind

SEND = "send"


@dataclass(frozen=True, slots=True)
class Sending:
    """What is sent, or would be; `mail_id` is None for what is only looked at.

    `sent_before` counts how often the bill was sent before. `is_new` is False if the mail was on its way already.
    """

    mail: PartnerMail
    sent_before: int
    mail_id: UUID | None = None
    is_new: bool = True


async def preview(connection: asyncpg.Connection, bill_id: UUID, seen_digest: str | None) -> Sending | None:
    """What `send` would send now, and raises as that does; None if there is no such bill."""
    bill = await records.read(connection, bill_id)
    return await _sending(connection, bill, seen_digest) if bill else None


async def send(uow: UnitOfWork, bill_id: UUID, seen_digest: str | None = None) -> Sending | None:
    """Send an issued bill or credit note to its partner; None if there is no such bill.

    Asked again while the mail is on its way, no other one is written; later, the bill is sent again. RuleViolation for
    a bill that is not issued or has another digest than the one seen, and for what `composing` misses.
    """
    connection = uow.connection
    partner_id = await records.partner_of(connection, bill_id)
    if partner_id is None:
        return None
    await locks.lock_bills_exclusive(connection, partner_id)
    bill = await records.read(connection, bill_id)
    assert bill is not None
    sending = await _sending(connection, bill, seen_digest)
    for earlier in await outgoing.of_bill(connection, bill_id):
        if earlier.kind is MailKind.BILL and earlier.waiting:
            return Sending(sending.mail, sending.sent_before, earlier.id, is_new=False)
    mail_id = await composing.write(uow, sending.mail, MailKind.BILL, SEND)
    await uow.audit("bill.sent", bill_id, after={"mail_id": mail_id})
    return Sending(sending.mail, sending.sent_before, mail_id)


async def is_wanted(connection: asyncpg.Connection, partner_id: UUID) -> bool:
    """Whether a partner wants bills to be sent by themselves."""
    return (await reviews.terms_of_today(connection, partner_id)).preferences.send


async def send_once(uow: UnitOfWork, bill_id: UUID) -> None:
    """Send a bill unless it was sent before; raises as `send` does."""
    connection = uow.connection
    partner_id = await records.partner_of(connection, bill_id)
    assert partner_id is not None
    await locks.lock_bills_exclusive(connection, partner_id)
    if not await times_sent(connection, bill_id):
        await send(uow, bill_id)


async def times_sent(connection: asyncpg.Connection, bill_id: UUID) -> int:
    """How often a bill was sent; reminders do not count."""
    times: int = await connection.fetchval(
        "SELECT count(*) FROM bill_actions WHERE bill_id = $1 AND move = $2", bill_id, SEND
    )
    return times


async def _sending(connection: asyncpg.Connection, bill: Bill, seen_digest: str | None) -> Sending:
    head = bill.head
    if head.state is not State.ISSUED:
        raise RuleViolation(f"The bill is {head.state}; only an issued one is sent.")
    if seen_digest not in (None, head.digest):
        raise RuleViolation(f"The bill has changed since you saw it: its digest is {head.digest}.")
    return Sending(await composing.compose(connection, bill, bill_letter(bill)), await times_sent(connection, head.id))
