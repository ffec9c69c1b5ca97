"""Mail about bills: what is to be sent, and what became of it at each address."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text, Uuid, text

from db.core.tables.base import INSTANT, NOW, metadata

mails = Table(
    "mails",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("bill_id", Uuid, ForeignKey("bills.id")),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    Column("tried_since", INSTANT, nullable=False, server_default=NOW),
    CheckConstraint("kind IN ('bill', 'reminder', 'notice')", name="kind"),
    CheckConstraint("(kind = 'notice') = (bill_id IS NULL)", name="bill"),
    Index("ix_mails_bill_id", "bill_id", "created_at"),
    Index("ix_mails_created_at", "created_at", "id"),
)

mail_recipients = Table(
    "mail_recipients",
    metadata,
    Column("mail_id", Uuid, ForeignKey("mails.id", ondelete="CASCADE"), primary_key=True),
    Column("address", Text, primary_key=True),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("answer", Text),
    Column("changed_at", INSTANT, nullable=False, server_default=NOW),
    CheckConstraint("state IN ('waiting', 'sent', 'bounced', 'given_up')", name="state"),
    CheckConstraint("state NOT IN ('bounced', 'given_up') OR answer IS NOT NULL", name="answer"),
    Index("ix_mail_recipients_unsent", "state", "mail_id", postgresql_where=text("state <> 'sent'")),
)

reminders = Table(
    "reminders",
    metadata,
    Column("bill_id", Uuid, ForeignKey("bills.id"), primary_key=True),
    Column("days", Integer, primary_key=True),
    Column("at", INSTANT, nullable=False, server_default=NOW),
    CheckConstraint("days > 0", name="days"),
)

bill_notices = Table(
    "bill_notices",
    metadata,
    Column("bill_id", Uuid, ForeignKey("bills.id"), primary_key=True),
    Column("at", INSTANT, nullable=False, server_default=NOW, index=True),
)
