"""Which action corrects which"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    # A table, because a wrong action of a closed period is frozen and cannot say what corrects it.
    op.create_table(
        "corrections",
        sa.Column("wrong_id", sa.Uuid(), nullable=False),
        sa.Column("right_id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("clock_timestamp()")
        ),
        sa.CheckConstraint("wrong_id <> right_id", name=op.f("ck_corrections_another")),
        sa.ForeignKeyConstraint(["wrong_id"], ["actions.id"], name=op.f("fk_corrections_wrong_id")),
        sa.ForeignKeyConstraint(["right_id"], ["actions.id"], name=op.f("fk_corrections_right_id")),
        sa.PrimaryKeyConstraint("wrong_id", name=op.f("pk_corrections")),
        sa.UniqueConstraint("right_id", name=op.f("uq_corrections_right_id")),
        sa.Index("ix_corrections_customer", "partner_id", "customer_id"),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_table("corrections")
