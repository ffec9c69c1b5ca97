"""How leads left the quarantine without being decided: who, when and why"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    # A table of its own, so that the plans of the release before stay valid. It outlives what callers sent, which is
    # deleted after a time, so it has no reference.
    op.create_table(
        "quarantine_exits",
        sa.Column("quarantine_id", sa.BigInteger(), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lead_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("left_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint("state IN ('superseded', 'discarded')", name=op.f("ck_quarantine_exits_state")),
        sa.PrimaryKeyConstraint("quarantine_id", "left_at", name=op.f("pk_quarantine_exits")),
        sa.Index("ix_quarantine_exits_state", "state", "quarantine_id"),
        sa.Index("ix_quarantine_exits_lead_id", "lead_id"),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_table("quarantine_exits")
