"""Reminders of bills, and bills that people are still to be told of"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"

_INSTANT = sa.DateTime(timezone=True)
_NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.create_table(
        "reminders",
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False, server_default=_NOW),
        sa.CheckConstraint("days > 0", name=op.f("ck_reminders_days")),
        sa.PrimaryKeyConstraint("bill_id", "days", name=op.f("pk_reminders")),
    )
    op.create_table(
        "bill_notices",
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("bill_id", name=op.f("pk_bill_notices")),
        sa.Index("ix_bill_notices_at", "at"),
    )
    op.add_column("billing_terms", sa.Column("remind", sa.Boolean(), nullable=False, server_default="true"))
    op.execute("LOCK TABLE bills IN SHARE ROW EXCLUSIVE MODE")  # last, because others write it
    op.create_foreign_key(op.f("fk_reminders_bill_id"), "reminders", "bills", ["bill_id"], ["id"])
    op.create_foreign_key(op.f("fk_bill_notices_bill_id"), "bill_notices", "bills", ["bill_id"], ["id"])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.execute("LOCK TABLE bills IN ACCESS EXCLUSIVE MODE")
    op.drop_column("billing_terms", "remind")
    op.drop_table("bill_notices")
    op.drop_table("reminders")
