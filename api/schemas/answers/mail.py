"""Mails about bills."""

from datetime import date, datetime
from uuid import UUID

from pydantic import Field

from api.schemas.answers.base import Answer


class Attachment(Answer):
    """A file of a mail."""

    name: str
    size_bytes: int
    sha256: str


class BillMail(Answer):
    """What is sent with a bill, or would be: then `mail_id` is null. `sent_before` counts earlier mails."""

    mail_id: UUID | None
    bill_id: UUID
    number: str
    to: list[str]
    subject: str
    text: str
    attachments: list[Attachment]
    sent_before: int


class MailRecipient(Answer):
    """Where a mail stands at an address; `answer` is what the mail server said, if it refused it."""

    address: str
    state: str = Field(description="waiting, sent, bounced (refused for good) or given_up (put off for too long)")
    answer: str | None
    changed_at: datetime


class Mail(Answer):
    """A mail about a bill; a notice to people of ours may be about several, and has none."""

    mail_id: UUID
    kind: str = Field(description="bill, reminder or notice")
    bill_id: UUID | None
    number: str | None
    subject: str
    text: str
    created_at: datetime
    to: list[MailRecipient]


class Reminder(Answer):
    """A reminder that is due, `days` after the due date; `not_sent` says why none can go."""

    bill_id: UUID
    number: str
    partner: str
    due_on: date
    days: int
    open: str
    currency: str
    to: list[str]
    subject: str | None
    not_sent: str | None


class RetriedMails(Answer):
    """The mails that wait again."""

    retried: list[UUID]
