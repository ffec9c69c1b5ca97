"""Runs of the monthly billing, their items, and the instant since which they start by themselves"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0041"
down_revision = "0040"

_INSTANT = sa.DateTime(timezone=True)
_NOW = sa.text("clock_timestamp()")
_PERIOD = "period BETWEEN 190001 AND 999912 AND period % 100 BETWEEN 1 AND 12"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.create_table(
        "billing_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("trigger_source", sa.Text(), nullable=True),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("commit", sa.Text(), nullable=True),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("period", sa.Integer(), nullable=True),
        sa.Column("partner_ids", postgresql.ARRAY(sa.Uuid()), nullable=True),
        sa.Column("who_kind", sa.Text(), nullable=False),
        sa.Column("who_id", sa.Uuid(), nullable=True),
        sa.Column("who_name", sa.Text(), nullable=False),
        sa.Column("started_at", _INSTANT, nullable=False, server_default=_NOW),
        sa.Column("planned_at", _INSTANT, nullable=True),
        sa.Column("completed_at", _INSTANT, nullable=True),
        sa.CheckConstraint(
            "trigger IN ('schedule', 'api', 'cli', 'github', 'python', 'retry')", name=op.f("ck_billing_runs_trigger")
        ),
        sa.CheckConstraint(_PERIOD, name=op.f("ck_billing_runs_period")),
        sa.CheckConstraint("who_kind IN ('user', 'key', 'system')", name=op.f("ck_billing_runs_who_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_runs")),
        sa.UniqueConstraint("key", name=op.f("uq_billing_runs_key")),
        sa.Index("ix_billing_runs_started_at", "started_at", "id"),
    )
    op.create_table(
        "billing_run_items",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("period", sa.Integer(), nullable=False),
        sa.Column("portion", sa.Integer(), nullable=False),
        sa.Column("actions", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("next_attempt_at", _INSTANT, nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("bill_id", sa.Uuid(), nullable=True),
        sa.Column("bill_state", sa.Text(), nullable=True),
        sa.Column("gross_minor", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("finished_at", _INSTANT, nullable=True),
        sa.Column("retried_at", _INSTANT, nullable=True),
        sa.CheckConstraint(
            "outcome IN ('successful', 'failed', 'skipped', 'waiting')", name=op.f("ck_billing_run_items_outcome")
        ),
        sa.CheckConstraint("(outcome IS NULL) = (finished_at IS NULL)", name=op.f("ck_billing_run_items_finished")),
        sa.CheckConstraint("retried_at IS NULL OR outcome = 'failed'", name=op.f("ck_billing_run_items_retried")),
        sa.CheckConstraint(_PERIOD, name=op.f("ck_billing_run_items_period")),
        sa.ForeignKeyConstraint(["run_id"], ["billing_runs.id"], name=op.f("fk_billing_run_items_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_run_items")),
        sa.Index("uq_billing_run_items_run_id", "run_id", "partner_id", "period", unique=True),
        sa.Index("ix_billing_run_items_open", "run_id", "portion", postgresql_where=sa.text("outcome IS NULL")),
        sa.Index("ix_billing_run_items_failed", "partner_id", "period", postgresql_where=sa.text("outcome = 'failed'")),
    )
    op.create_table(
        "billing_scheduler",
        sa.Column("only_one", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("enabled_at", _INSTANT, nullable=False),
        sa.Column("looked_at", _INSTANT, nullable=False),
        sa.CheckConstraint("only_one", name=op.f("ck_billing_scheduler_only_one")),
        sa.PrimaryKeyConstraint("only_one", name=op.f("pk_billing_scheduler")),
    )
    op.execute("LOCK TABLE partners IN SHARE ROW EXCLUSIVE MODE")  # last, because others write it
    op.create_foreign_key(
        op.f("fk_billing_run_items_partner_id"), "billing_run_items", "partners", ["partner_id"], ["id"]
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    for table in ("billing_scheduler", "billing_run_items", "billing_runs"):
        op.drop_table(table)
