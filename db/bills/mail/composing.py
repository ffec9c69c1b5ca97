"""Composing a mail to a partner: its addresses of today, the letter, and the PDF of the bill."""

from dataclasses import dataclass
from uuid import UUID, uuid4

import asyncpg

from billing.errors import RuleViolation
from db.bills import history, reviews
from db.bills.files import stored
from db.bills.files.formats import BillFormat
from db.bills.files.stored import StoredFile
from db.bills.mail.letters import Letter
from db.bills.records import Bill
from db.core.unit_of_work import UnitOfWork
from db.mail import outgoing
from db.mail.outgoing import MailKind
from db.tasks import records as tasks

TASK = "send_mail"
"""The kind of the background task that hands a mail over."""


class NoAddress(RuleViolation):
    """A partner to whom nothing can be sent before an address is entered."""


@dataclass(frozen=True, slots=True)
class PartnerMail:
    """A mail to a partner with the PDF of a bill, which is not written yet."""

    bill: Bill
    to: tuple[str, ...]
    letter: Letter
    pdf: StoredFile


async def compose(connection: asyncpg.Connection, bill: Bill, letter: Letter) -> PartnerMail:
    """The mail to the addresses that count today. RuleViolation if there are none, or while the PDF is not made."""
    head = bill.head
    to = (await reviews.terms_of_today(connection, head.partner_id)).preferences.emails
    if not to:
        address = await connection.fetchval("SELECT billing_email FROM partners WHERE id = $1", head.partner_id)
        to = (address,) if address else ()
    if not to:
        raise NoAddress(
            "There is no address to send bills to: "
            "the partner needs e-mails for bills in its terms, or a billing e-mail."
        )
    files = await stored.read(connection, head.id)
    pdf = next((file for file in files if file.format is BillFormat.PDF), None)
    if pdf is None:
        raise RuleViolation(f"The PDF of {head.number} is not made yet; a task makes it right after the issue.")
    return PartnerMail(bill, to, letter, pdf)


async def write(uow: UnitOfWork, mail: PartnerMail, kind: MailKind, move: str, because: str = "") -> UUID:
    """Write a mail and its bill action, and start the task that hands it over; returns the id of the mail.

    The lock of the partner's bills is held.
    """
    connection, head, mail_id = uow.connection, mail.bill.head, uuid4()
    await outgoing.add(connection, mail_id, kind, head.id, mail.to, mail.letter.subject, mail.letter.text)
    comment = f"{because}to {', '.join(mail.to)}"
    await history.add(connection, head.id, uow.actor, move, head.state, head.state, head.digest, comment)
    await start(uow, mail_id)
    return mail_id


async def start(uow: UnitOfWork, mail_id: UUID) -> None:
    """Start the task that hands a mail over to whom it waits for."""
    await tasks.start(uow, TASK, {"mail_id": mail_id}, dedup_key=str(mail_id))
