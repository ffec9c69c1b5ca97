"""What one runner needs of every background task: attempts, the next one, who asked, the task it is part of"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.add_column("tasks", sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("tasks", sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("tasks", sa.Column("last_error", sa.Text(), nullable=True))
    op.add_column("tasks", sa.Column("dedup_key", sa.Text(), nullable=True))
    op.add_column("tasks", sa.Column("requested_by_kind", sa.Text(), nullable=True))
    op.add_column("tasks", sa.Column("requested_by_id", sa.Uuid(), nullable=True))
    op.add_column("tasks", sa.Column("requested_by_name", sa.Text(), nullable=True))
    op.add_column("tasks", sa.Column("parent_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_tasks_parent_id"), "tasks", "tasks", ["parent_id"], ["id"], ondelete="CASCADE")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_constraint(op.f("fk_tasks_parent_id"), "tasks")
    for column in (
        "parent_id",
        "requested_by_name",
        "requested_by_id",
        "requested_by_kind",
        "dedup_key",
        "last_error",
        "next_attempt_at",
        "attempts",
    ):
        op.drop_column("tasks", column)
