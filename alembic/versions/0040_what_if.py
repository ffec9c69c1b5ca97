"""Results of what-ifs, and of reconciliations with the list while it is compared"""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.create_table(
        "what_if_differences",
        sa.Column("position", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("period", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("before_minor", sa.BigInteger(), nullable=False),
        sa.Column("after_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_what_if_differences")),
        sa.Index("ix_what_if_differences_task_id", "task_id", "position"),
    )
    op.create_table(
        "reconciliation_entries",
        sa.Column("position", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=True),
        sa.Column("key", sa.Uuid(), nullable=False),
        sa.Column("lead_id", sa.Text(), nullable=True),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("theirs_minor", sa.BigInteger(), nullable=True),
        sa.Column("ours_minor", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "part IN ('uploaded', 'missing_here', 'missing_there', 'different')",
            name=op.f("ck_reconciliation_entries_part"),
        ),
        sa.CheckConstraint(
            "CASE part WHEN 'different' THEN theirs_minor <> ours_minor WHEN 'missing_there' THEN theirs_minor IS NULL"
            " ELSE ours_minor IS NULL END",
            name=op.f("ck_reconciliation_entries_amounts"),
        ),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_reconciliation_entries")),
        sa.Index("ix_reconciliation_entries_task_id", "task_id", "part", "position"),
    )
    op.execute("LOCK TABLE tasks IN SHARE ROW EXCLUSIVE MODE")  # last, because others write it
    for table in ("what_if_differences", "reconciliation_entries"):
        op.create_foreign_key(op.f(f"fk_{table}_task_id"), table, "tasks", ["task_id"], ["id"], ondelete="CASCADE")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_table("reconciliation_entries")
    op.drop_table("what_if_differences")
