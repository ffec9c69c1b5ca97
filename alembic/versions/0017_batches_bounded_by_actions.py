"""Which rows of the inbox are decided by parts, and how much of a partition is claimed after a batch was lost"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    # A worker of an older release decides such a row as a whole: what was decided already is a replay to it (R3).
    op.create_table(
        "partly_decided",
        sa.Column("inbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("leads", sa.Integer(), nullable=False),
        sa.Column("result", JSONB(), nullable=False),
        sa.CheckConstraint("leads > 0", name=op.f("ck_partly_decided_leads")),
        sa.PrimaryKeyConstraint("inbox_id", name=op.f("pk_partly_decided")),
    )
    op.create_table(
        "claim_limits",
        sa.Column("lane", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("most_leads", sa.Integer(), nullable=False),
        sa.Column("lost", sa.Integer(), server_default="0", nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("most_leads > 0", name=op.f("ck_claim_limits_most_leads")),
        sa.CheckConstraint("lost >= 0", name=op.f("ck_claim_limits_lost")),
        sa.PrimaryKeyConstraint("lane", name=op.f("pk_claim_limits")),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_table("claim_limits")
    op.drop_table("partly_decided")
