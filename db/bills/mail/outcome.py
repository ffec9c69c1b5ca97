"""What became of a mail: where it is sent, where it bounced, and where it was put off for too long."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from db.bills import history, records
from db.bills.mail import composing
from db.core import locks
from db.core.unit_of_work import UnitOfWork
from db.mail import outgoing
from db.mail.outgoing import MailState, OutgoingMail
from db.mail.sending import Refusal
from db.telemetry import counters

MOST_RETRIED = 1_000
"""Mails that one call lets wait again."""


async def settle(
    uow: UnitOfWork, mail: OutgoingMail, refused: Mapping[str, Refusal], now: datetime, patience: timedelta
) -> None:
    """Store what became of a mail at the addresses that it waited for.

    What is refused for good, and what was put off for longer than `patience`, is a bill action.
    """
    put_off = MailState.GIVEN_UP if now - mail.tried_since > patience else MailState.WAITING
    outcome: dict[str, tuple[MailState, str | None]] = {}
    for address in mail.waiting:
        refusal = refused.get(address)
        state = MailState.SENT if refusal is None else MailState.BOUNCED if refusal.is_final else put_off
        outcome[address] = state, refusal.answer if refusal else None
    if mail.bill_id:
        await _note_in_history(uow, mail.bill_id, outcome)
    await outgoing.write_outcome(uow.connection, mail.id, outcome)
    states = [state for state, _ in outcome.values()]
    counts = {"mails_sent": states.count(MailState.SENT), "mails_bounced": states.count(MailState.BOUNCED)}
    await counters.add(uow.connection, counts)


async def retry(uow: UnitOfWork, mail_ids: list[UUID] | None) -> list[UUID]:
    """Send what was given up again, all mails or the given ones, 1,000 at most; returns which."""
    taken = await outgoing.take_up(uow.connection, mail_ids, MOST_RETRIED)
    for mail_id in taken:
        await composing.start(uow, mail_id)
    if taken:
        await uow.audit("mails.retried", "mails", after={"mails": taken})
    return taken


async def _note_in_history(uow: UnitOfWork, bill_id: UUID, outcome: Mapping[str, tuple[MailState, str | None]]) -> None:
    failed = {
        address: (state, answer)
        for address, (state, answer) in outcome.items()
        if state in (MailState.BOUNCED, MailState.GIVEN_UP)
    }
    if not failed:
        return
    partner_id = await records.partner_of(uow.connection, bill_id)
    assert partner_id is not None
    await locks.lock_bills_exclusive(uow.connection, partner_id)
    bill = await records.read(uow.connection, bill_id)
    assert bill is not None
    head = bill.head
    for address, (state, answer) in failed.items():
        comment = f"{address}: {answer}"
        await history.add(uow.connection, bill_id, uow.actor, state, head.state, head.state, head.digest, comment)
