"""When a bill or an account was last proven, and what differed"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"

_INSTANT = sa.DateTime(timezone=True)
_NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.create_table(
        "proofs",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("is_checked", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("since", _INSTANT, nullable=False, server_default=_NOW),
        sa.Column("due_at", _INSTANT, nullable=False, server_default=_NOW),
        sa.Column("difference", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('bill', 'account')", name=op.f("ck_proofs_kind")),
        sa.PrimaryKeyConstraint("kind", "subject_id", name=op.f("pk_proofs")),
        sa.Index("ix_proofs_due_at", "is_checked", "due_at"),
        sa.Index("ix_proofs_since", "since"),
        sa.Index("ix_proofs_difference", "kind", postgresql_where=sa.text("difference IS NOT NULL")),
    )
    op.execute("INSERT INTO proofs (kind, subject_id) SELECT 'bill', id FROM bills WHERE issued_at IS NOT NULL")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_table("proofs")
