"""Webhooks, the messages for them, and what came of sending each"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0037"
down_revision = "0036"

_INSTANT = sa.DateTime(timezone=True)
_NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, server_default="webhook"),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("events", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=True),
        sa.Column("seed", sa.LargeBinary(), nullable=True),
        sa.Column("former_seed", sa.LargeBinary(), nullable=True),
        sa.Column("former_until", _INSTANT, nullable=True),
        sa.Column("created_at", _INSTANT, nullable=False, server_default=_NOW),
        sa.Column("failures", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("failing_since", _INSTANT, nullable=True),
        sa.Column("rests_until", _INSTANT, nullable=True),
        sa.Column("disabled_at", _INSTANT, nullable=True),
        sa.CheckConstraint("kind IN ('webhook', 'slack', 'runs')", name=op.f("ck_webhooks_kind")),
        sa.CheckConstraint("(kind = 'webhook') = (url IS NOT NULL)", name=op.f("ck_webhooks_url")),
        sa.CheckConstraint("(kind = 'webhook') = (seed IS NOT NULL)", name=op.f("ck_webhooks_seed")),
        sa.CheckConstraint("(former_seed IS NULL) = (former_until IS NULL)", name=op.f("ck_webhooks_former")),
        sa.CheckConstraint("(failures = 0) = (failing_since IS NULL)", name=op.f("ck_webhooks_failing")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
        sa.Index("uq_webhooks_kind", "kind", unique=True, postgresql_where=sa.text("kind <> 'webhook'")),
    )
    op.create_table(
        "outgoing_messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outgoing_messages")),
        sa.Index("ix_outgoing_messages_created_at", "created_at"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, server_default="waiting"),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("next_attempt_at", _INSTANT, nullable=True, server_default=_NOW),
        sa.CheckConstraint("state IN ('waiting', 'delivered', 'failed')", name=op.f("ck_deliveries_state")),
        sa.CheckConstraint(
            "(state = 'waiting') = (next_attempt_at IS NOT NULL)", name=op.f("ck_deliveries_next_attempt")
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["outgoing_messages.id"], name=op.f("fk_deliveries_message_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("message_id", "webhook_id", name=op.f("uq_deliveries_message_id_webhook_id")),
        sa.Index("ix_deliveries_webhook_id", "webhook_id", "id"),
        sa.Index(
            "ix_deliveries_waiting", "webhook_id", "next_attempt_at", postgresql_where=sa.text("state = 'waiting'")
        ),
    )
    op.create_table(
        "delivery_attempts",
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name=op.f("fk_delivery_attempts_delivery_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("delivery_id", "number", name=op.f("pk_delivery_attempts")),
    )
    op.execute("LOCK TABLE partners IN SHARE ROW EXCLUSIVE MODE")  # last, because others write it
    op.create_foreign_key(op.f("fk_webhooks_partner_id"), "webhooks", "partners", ["partner_id"], ["id"])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    for table in ("delivery_attempts", "deliveries", "outgoing_messages", "webhooks"):
        op.drop_table(table)
