"""Bills, and what people did to them."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    text,
)

from db.core.tables.base import INSTANT, NOW, metadata, period_check

bills = Table(
    "bills",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("number", Text, unique=True),
    Column("partner_id", Uuid, ForeignKey("partners.id"), nullable=False),
    Column("period", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("created_by", Uuid, ForeignKey("users.id")),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    Column("issued_at", INSTANT),
    CheckConstraint("state IN ('draft', 'approved', 'rejected', 'issued', 'paid', 'voided')", name="state"),
    CheckConstraint("(number IS NOT NULL) = (issued_at IS NOT NULL)", name="issued"),
    Index(
        "uq_bills_one_per_period",
        "partner_id",
        "period",
        unique=True,
        postgresql_where=text("state <> 'voided'"),
    ),
    CheckConstraint(period_check("period"), name="period"),
    CheckConstraint("amount_minor >= 0", name="amount"),
)

bill_actions = Table(
    "bill_actions",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("bill_id", Uuid, ForeignKey("bills.id"), nullable=False, index=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("comment", Text),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    CheckConstraint("kind IN ('create', 'approve', 'reject', 'issue', 'pay', 'void')", name="kind"),
)
