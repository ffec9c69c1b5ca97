"""Fraud rules as they are set, what the screens found, and the actions that they hold (M4)."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from db.core.tables.base import INSTANT, NOW, metadata, period_check

fraud_rules = Table(
    "fraud_rules",
    metadata,
    Column("rule", Text, primary_key=True),
    Column("armed", Boolean, nullable=False),
    Column("threshold", Integer, nullable=False),
    Column("limits", JSONB, nullable=False),
    CheckConstraint("threshold BETWEEN 1 AND 100", name="threshold"),
)

fraud_screens = Table(
    "fraud_screens",
    metadata,
    Column("partner_id", Uuid, ForeignKey("partners.id"), primary_key=True),
    Column("period", Integer, primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("armed", Boolean, nullable=False),
    Column("customers", BigInteger, nullable=False),
    Column("actions", BigInteger, nullable=False),
    Column("value_minor", BigInteger, nullable=False),
    Column("screened_at", INSTANT, nullable=False, server_default=NOW),
    CheckConstraint(period_check("period"), name="period"),
)

fraud_holds = Table(
    "fraud_holds",
    metadata,
    Column("action_id", Uuid, ForeignKey("actions.id"), primary_key=True),
    Column("partner_id", Uuid, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("rule", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("score", Integer, nullable=False),
    Column("facts", JSONB, nullable=False),
    Column("reason", Text, nullable=False),
    Column("found_at", INSTANT, nullable=False, server_default=NOW),
    Column("held_at", INSTANT),
    Column("decision", Text),
    CheckConstraint("score BETWEEN 1 AND 100", name="score"),
    CheckConstraint("decision IN ('release', 'confirm')", name="decision"),
    Index("ix_fraud_holds_found", "partner_id", "customer_id", postgresql_where=text("held_at IS NULL")),
)
