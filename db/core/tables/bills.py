"""Bills, what people did to them, their files and numbers, and the adjustments that they charge."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from db.core.tables.base import INSTANT, NOW, metadata, period_check

_WHO = "who_kind IN ('user', 'key', 'system')"

bills = Table(
    "bills",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("number", Text, unique=True),
    Column("partner_id", Uuid, ForeignKey("partners.id"), nullable=False),
    Column("period", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    Column("issued_at", INSTANT),
    Column("corrects_id", Uuid, ForeignKey("bills.id"), index=True),
    Column("content", Text, nullable=False),
    Column("net_minor", BigInteger, nullable=False),
    Column("tax_minor", BigInteger, nullable=False),
    Column("asked", ARRAY(Text), nullable=False, server_default="{}"),
    Column("csm_id", Uuid, ForeignKey("users.id")),
    Column("issued_on", Date),
    Column("due_on", Date),
    Column("issue", Text),
    Column("seal", Text),
    Column("dispute", Text),
    Column("shown_state", Text, nullable=False),
    CheckConstraint(period_check("period"), name="period"),
    CheckConstraint(
        "state IN ('draft', 'pending', 'approved', 'rejected', 'issued', 'void', 'cancelled')", name="state"
    ),
    CheckConstraint(
        "num_nonnulls(number, issued_at, issued_on, due_on, issue, seal)"
        " = CASE WHEN state IN ('issued', 'cancelled') THEN 6 ELSE 0 END",
        name="issued",
    ),
    CheckConstraint(
        "shown_state IS NOT NULL AND shown_state IN ('draft', 'pending', 'approved', 'rejected', 'issued', 'paid',"
        " 'written_off', 'void', 'cancelled')",
        name="shown_state",
    ),
    Index(
        "uq_bills_one_live",
        "partner_id",
        "period",
        unique=True,
        postgresql_where=text("corrects_id IS NULL AND state NOT IN ('void', 'cancelled')"),
    ),
    Index("ix_bills_partner_id", "partner_id", "period"),
    Index("ix_bills_created_at", "created_at", "id"),
    Index("ix_bills_shown_state", "shown_state", "created_at", "id"),
    Index(
        "ix_bills_open",
        "created_at",
        "id",
        postgresql_include=["due_on", "partner_id", "corrects_id"],
        postgresql_where=text("shown_state = 'issued' AND (corrects_id IS NULL OR net_minor + tax_minor < 0)"),
    ),
    Index("ix_bills_notes", "created_at", "id", postgresql_where=text("corrects_id IS NOT NULL")),
    Index("ix_bills_overage", "created_at", "id", postgresql_where=text('content LIKE \'%"kind":"overage"%\'')),
    Index("ix_bills_period", "period", "created_at", "id"),
    Index("ix_bills_due_on", "shown_state", text("coalesce(due_on, 'infinity'::date)"), "id"),
    Index("ix_bills_gross", "shown_state", text("(net_minor + tax_minor)"), "id"),
)

bill_actions = Table(
    "bill_actions",
    metadata,
    Column("bill_id", Uuid, ForeignKey("bills.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("at", INSTANT, nullable=False, server_default=NOW),
    Column("who_kind", Text, nullable=False),
    Column("who_id", Uuid),
    Column("who_name", Text, nullable=False),
    Column("move", Text, nullable=False),
    Column("from_state", Text),
    Column("to_state", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("comment", Text),
    CheckConstraint(_WHO, name="who_kind"),
    CheckConstraint("position > 0", name="position"),
)

bill_approvals = Table(
    "bill_approvals",
    metadata,
    Column("bill_id", Uuid, ForeignKey("bills.id"), primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), primary_key=True),
    Column("place", Text),
    Column("at", INSTANT, nullable=False, server_default=NOW),
)

bill_files = Table(
    "bill_files",
    metadata,
    Column("bill_id", Uuid, ForeignKey("bills.id"), primary_key=True),
    Column("format", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    CheckConstraint("format IN ('pdf', 'csv', 'json', 'xlsx')", name="format"),
    CheckConstraint("size_bytes >= 0", name="size"),
    CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256"),
)

bill_numbers = Table(
    "bill_numbers",
    metadata,
    Column("partner_id", Uuid, ForeignKey("partners.id"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("next_number", BigInteger, nullable=False),
    CheckConstraint("kind IN ('bill', 'credit_note')", name="kind"),
    CheckConstraint("next_number > 0", name="next_number"),
)

adjustments = Table(
    "adjustments",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("partner_id", Uuid, ForeignKey("partners.id"), nullable=False),
    Column("period", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("own_tax", Boolean, nullable=False),
    Column("tax_category", Text),
    Column("tax_rate_bp", Integer),
    Column("entered_at", INSTANT, nullable=False, server_default=NOW),
    Column("who_kind", Text, nullable=False),
    Column("who_id", Uuid),
    Column("who_name", Text, nullable=False),
    Column("taken_back_at", INSTANT),
    CheckConstraint(period_check("period"), name="period"),
    CheckConstraint("amount_minor <> 0", name="amount"),
    CheckConstraint(_WHO, name="who_kind"),
    CheckConstraint("(tax_category IS NULL) = (tax_rate_bp IS NULL) AND (own_tax OR tax_category IS NULL)", name="tax"),
    Index("ix_adjustments_partner_id", "partner_id", "period", "entered_at"),
)

proofs = Table(
    "proofs",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("subject_id", Uuid, primary_key=True),
    Column("is_checked", Boolean, nullable=False, server_default=text("false")),
    Column("since", INSTANT, nullable=False, server_default=NOW),
    Column("due_at", INSTANT, nullable=False, server_default=NOW),
    Column("difference", Text),
    CheckConstraint("kind IN ('bill', 'account')", name="kind"),
    Index("ix_proofs_due_at", "is_checked", "due_at"),
    Index("ix_proofs_since", "since"),
    Index("ix_proofs_difference", "kind", postgresql_where=text("difference IS NOT NULL")),
)

returns = Table(
    "returns",
    metadata,
    Column("action_id", Uuid, primary_key=True),
    Column("partner_id", Uuid, ForeignKey("partners.id"), nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("text", Text),
    Column("asked_at", INSTANT, nullable=False),
    Column("who_kind", Text, nullable=False),
    Column("who_id", Uuid),
    Column("who_name", Text, nullable=False),
    Column("decided_at", INSTANT),
    Column("decided_by_kind", Text),
    Column("decided_by_id", Uuid),
    Column("decided_by_name", Text),
    Column("answer", Text),
    CheckConstraint("state IN ('asked', 'returned', 'refused')", name="state"),
    CheckConstraint(_WHO, name="who_kind"),
    CheckConstraint(
        "CASE state WHEN 'asked' THEN num_nonnulls(decided_at, decided_by_kind, decided_by_name, answer) = 0"
        " ELSE num_nonnulls(decided_at, decided_by_kind, decided_by_name) = 3"
        " AND (state <> 'refused' OR answer IS NOT NULL) END",
        name="decided",
    ),
    CheckConstraint("decided_by_kind IN ('user', 'key', 'system')", name="decided_by_kind"),
    Index("ix_returns_partner_id", "partner_id", "asked_at", "action_id"),
    Index("ix_returns_state", "state", "asked_at", "action_id"),
)

return_notices = Table(
    "return_notices",
    metadata,
    Column("action_id", Uuid, ForeignKey("returns.action_id"), primary_key=True),
    Column("at", INSTANT, nullable=False, server_default=NOW, index=True),
)
