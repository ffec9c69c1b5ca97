"""Indexes for finding the unfinished twin of a task, the subtasks of one, and tasks that finished long ago"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '0'")  # what is done concurrently waits for others, nobody for it
        for index in ("uq_tasks_dedup_key", "ix_tasks_parent_id", "ix_tasks_finished"):
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index}")  # a start that was broken off
        op.create_index(
            "uq_tasks_dedup_key",
            "tasks",
            ["kind", "dedup_key"],
            unique=True,
            postgresql_where=sa.text("dedup_key IS NOT NULL AND finished_at IS NULL"),
            postgresql_concurrently=True,
        )
        op.create_index(
            "ix_tasks_parent_id",
            "tasks",
            ["parent_id"],
            postgresql_where=sa.text("parent_id IS NOT NULL"),
            postgresql_concurrently=True,
        )
        op.create_index(
            "ix_tasks_finished",
            "tasks",
            ["finished_at"],
            postgresql_where=sa.text("finished_at IS NOT NULL"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    for index in ("uq_tasks_dedup_key", "ix_tasks_parent_id", "ix_tasks_finished"):
        op.drop_index(index, "tasks")
