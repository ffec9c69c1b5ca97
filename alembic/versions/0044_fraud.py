"""Fraud rules as they are set, what the screens found, and the actions that they hold"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0044"
down_revision = "0041"

_INSTANT = sa.DateTime(timezone=True)
_NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.create_table(
        "fraud_rules",
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("armed", sa.Boolean(), nullable=False),
        sa.Column("threshold", sa.Integer(), nullable=False),
        sa.Column("limits", postgresql.JSONB(), nullable=False),
        sa.CheckConstraint("threshold BETWEEN 1 AND 100", name=op.f("ck_fraud_rules_threshold")),
        sa.PrimaryKeyConstraint("rule", name=op.f("pk_fraud_rules")),
    )
    op.create_table(
        "fraud_screens",
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("period", sa.Integer(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("armed", sa.Boolean(), nullable=False),
        sa.Column("customers", sa.BigInteger(), nullable=False),
        sa.Column("actions", sa.BigInteger(), nullable=False),
        sa.Column("value_minor", sa.BigInteger(), nullable=False),
        sa.Column("screened_at", _INSTANT, nullable=False, server_default=_NOW),
        sa.CheckConstraint(
            "period BETWEEN 190001 AND 999912 AND period % 100 BETWEEN 1 AND 12", name=op.f("ck_fraud_screens_period")
        ),
        sa.PrimaryKeyConstraint("partner_id", "period", "rule", name=op.f("pk_fraud_screens")),
    )
    op.create_table(
        "fraud_holds",
        sa.Column("action_id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("facts", postgresql.JSONB(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("found_at", _INSTANT, nullable=False, server_default=_NOW),
        sa.Column("held_at", _INSTANT, nullable=True),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.CheckConstraint("score BETWEEN 1 AND 100", name=op.f("ck_fraud_holds_score")),
        sa.CheckConstraint("decision IN ('release', 'confirm')", name=op.f("ck_fraud_holds_decision")),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name=op.f("fk_fraud_holds_action_id")),
        sa.PrimaryKeyConstraint("action_id", name=op.f("pk_fraud_holds")),
        sa.Index("ix_fraud_holds_found", "partner_id", "customer_id", postgresql_where=sa.text("held_at IS NULL")),
    )
    op.execute("LOCK TABLE partners IN SHARE ROW EXCLUSIVE MODE")  # last, because others write it
    op.create_foreign_key(op.f("fk_fraud_screens_partner_id"), "fraud_screens", "partners", ["partner_id"], ["id"])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    for table in ("fraud_holds", "fraud_screens", "fraud_rules"):
        op.drop_table(table)
