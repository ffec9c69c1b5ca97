"""Runs of the monthly billing, what each does for a partner's period, and since when they start by themselves."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY

from db.core.tables.base import INSTANT, NOW, metadata, period_check

billing_runs = Table(
    "billing_runs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("trigger", Text, nullable=False),
    Column("trigger_source", Text),
    Column("key", Text, unique=True),
    Column("commit", Text),
    Column("dry_run", Boolean, nullable=False),
    Column("period", Integer),
    Column("partner_ids", ARRAY(Uuid)),
    Column("who_kind", Text, nullable=False),
    Column("who_id", Uuid),
    Column("who_name", Text, nullable=False),
    Column("started_at", INSTANT, nullable=False, server_default=NOW),
    Column("planned_at", INSTANT),
    Column("completed_at", INSTANT),
    Column("error", Text),
    CheckConstraint("trigger IN ('schedule', 'api', 'cli', 'github', 'python', 'retry')", name="trigger"),
    CheckConstraint(period_check("period"), name="period"),
    CheckConstraint("who_kind IN ('user', 'key', 'system')", name="who_kind"),
    CheckConstraint("error IS NULL OR completed_at IS NOT NULL", name="error"),
    Index("ix_billing_runs_started_at", "started_at", "id"),
)

billing_run_items = Table(
    "billing_run_items",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("run_id", Uuid, ForeignKey("billing_runs.id"), nullable=False),
    Column("partner_id", Uuid, ForeignKey("partners.id"), nullable=False),
    Column("period", Integer, nullable=False),
    Column("portion", Integer, nullable=False),
    Column("actions", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", INSTANT),
    Column("outcome", Text),
    Column("bill_id", Uuid),
    Column("bill_state", Text),
    Column("gross_minor", BigInteger),
    Column("note", Text),
    Column("error", Text),
    Column("finished_at", INSTANT),
    Column("retried_at", INSTANT),
    CheckConstraint("outcome IN ('successful', 'failed', 'skipped', 'waiting')", name="outcome"),
    CheckConstraint("(outcome IS NULL) = (finished_at IS NULL)", name="finished"),
    CheckConstraint("retried_at IS NULL OR outcome = 'failed'", name="retried"),
    CheckConstraint(period_check("period"), name="period"),
    # Of a run, a partner's period is billed by one item.
    Index("uq_billing_run_items_run_id", "run_id", "partner_id", "period", unique=True),
    Index("ix_billing_run_items_open", "run_id", "portion", postgresql_where=text("outcome IS NULL")),
    Index("ix_billing_run_items_failed", "partner_id", "period", postgresql_where=text("outcome = 'failed'")),
)

billing_run_figures = Table(
    "billing_run_figures",
    metadata,
    Column("run_id", Uuid, ForeignKey("billing_runs.id"), primary_key=True),
    Column("outcome", Text, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("items", BigInteger, nullable=False),
    Column("failing", BigInteger, nullable=False),
    Column("gross_minor", BigInteger, nullable=False),
)

billing_scheduler = Table(
    "billing_scheduler",
    metadata,
    Column("only_one", Boolean, primary_key=True, server_default="true"),
    Column("enabled_at", INSTANT, nullable=False),
    Column("looked_at", INSTANT, nullable=False),
    CheckConstraint("only_one", name="only_one"),
)
