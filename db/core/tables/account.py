"""The account of each partner: entries, uses of credits, and what is open or left of each entry."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Date, ForeignKey, Index, Integer, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from db.core.tables.base import INSTANT, NOW, metadata

account_entries = Table(
    "account_entries",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("partner_id", Uuid, ForeignKey("partners.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("booked_on", Date, nullable=False),
    Column("due_on", Date, nullable=False),
    Column("document", Text, nullable=False),
    Column("external_id", Text),
    Column("paid_on", Date),
    Column("named", JSONB, nullable=False, server_default="{}"),
    Column("bill_id", Uuid, ForeignKey("bills.id"), index=True),
    Column("reverses_id", Uuid, ForeignKey("account_entries.id"), unique=True),
    Column("reason", Text),
    Column("entered_at", INSTANT, nullable=False, server_default=NOW),
    Column("who_kind", Text, nullable=False),
    Column("who_id", Uuid),
    Column("who_name", Text, nullable=False),
    CheckConstraint(
        "kind IN ('bill', 'payment', 'credit_note', 'refund', 'write_off', 'opening_item', 'reversal')", name="kind"
    ),
    CheckConstraint("position > 0", name="position"),
    CheckConstraint("who_kind IN ('user', 'key', 'system')", name="who_kind"),
    CheckConstraint("(kind = 'reversal') = (reverses_id IS NOT NULL)", name="reverses"),
    CheckConstraint("(kind IN ('bill', 'credit_note', 'write_off')) = (bill_id IS NOT NULL)", name="bill"),
    CheckConstraint("(kind IN ('payment', 'refund', 'opening_item')) = (external_id IS NOT NULL)", name="external_id"),
    CheckConstraint(
        "CASE kind WHEN 'payment' THEN amount_minor < 0 WHEN 'write_off' THEN amount_minor < 0"
        " WHEN 'refund' THEN amount_minor > 0 ELSE true END",
        name="sign",
    ),
    Index("uq_account_entries_partner_id", "partner_id", "position", unique=True),
    Index("ix_account_entries_booked_on", "partner_id", "booked_on", "position"),
    Index("ix_account_entries_kind", "kind", "entered_at", "id"),
)

account_uses = Table(
    "account_uses",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("credit_id", Uuid, ForeignKey("account_entries.id"), nullable=False, index=True),
    Column("charge_id", Uuid, ForeignKey("account_entries.id"), nullable=False, index=True),
    Column("amount_minor", BigInteger, nullable=False),
    Column("booked_on", Date, nullable=False),
    Column("entered_at", INSTANT, nullable=False, server_default=NOW),
    CheckConstraint("amount_minor <> 0", name="amount"),
)

account_rests = Table(
    "account_rests",
    metadata,
    Column("entry_id", Uuid, ForeignKey("account_entries.id"), primary_key=True),
    Column("partner_id", Uuid, ForeignKey("partners.id"), nullable=False),
    Column("rest_minor", BigInteger, nullable=False),
    CheckConstraint("rest_minor >= 0", name="rest"),
    Index("ix_account_rests_partner_id", "partner_id", postgresql_where=text("rest_minor > 0")),
    Index("ix_account_rests_rest", "rest_minor", "entry_id", postgresql_where=text("rest_minor > 0")),
)
