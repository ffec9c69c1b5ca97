"""What the routes of mail take and give."""

from typing import Any

from pydantic import Field

from api.schemas.fields import Body, Digest, UuidText
from api.wire import amount_out, instant_out
from db.bills.mail.outcome import MOST_RETRIED
from db.bills.mail.reminders import Reminder
from db.bills.mail.sending import Sending
from db.mail.outgoing import OutgoingMail


class SendIn(Body):
    """The digest of the bill as you saw it; without it, whatever it says is sent."""

    digest: Digest | None = None


class RetryMailsIn(Body):
    """Which mails to send again; none named: all that were given up."""

    ids: list[UuidText] | None = Field(None, min_length=1, max_length=MOST_RETRIED)


def sending_out(sending: Sending) -> dict[str, Any]:
    """What is sent with a bill."""
    mail, head = sending.mail, sending.mail.bill.head
    return {
        "mail_id": sending.mail_id,
        "bill_id": head.id,
        "number": head.number,
        "to": mail.to,
        "subject": mail.letter.subject,
        "text": mail.letter.text,
        "attachments": [
            {"name": f"{head.number}.{mail.pdf.format}", "size_bytes": mail.pdf.size_bytes, "sha256": mail.pdf.sha256}
        ],
        "sent_before": sending.sent_before,
    }


def reminder_out(reminder: Reminder) -> dict[str, Any]:
    """A reminder that is due."""
    head, mail = reminder.bill.head, reminder.mail
    return {
        "bill_id": head.id,
        "number": head.number,
        "partner": head.partner,
        "due_on": head.due_on and head.due_on.isoformat(),
        "days": reminder.days,
        "open": amount_out(head.open_minor),
        "currency": head.currency,
        "to": mail.to if mail else [],
        "subject": mail and mail.letter.subject,
        "not_sent": reminder.not_sent,
    }


def mail_out(mail: OutgoingMail) -> dict[str, Any]:
    """A mail and what became of it."""
    return {
        "mail_id": mail.id,
        "kind": mail.kind.value,
        "bill_id": mail.bill_id,
        "number": mail.number,
        "subject": mail.subject,
        "text": mail.text,
        "created_at": instant_out(mail.created_at),
        "to": [
            {
                "address": each.address,
                "state": each.state.value,
                "answer": each.answer,
                "changed_at": instant_out(each.changed_at),
            }
            for each in mail.recipients
        ],
    }
