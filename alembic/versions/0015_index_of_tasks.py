"""An index for listing background tasks, the newest first"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '0'")  # what is done concurrently waits for others, nobody for it
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_tasks_created_at")  # a start that was broken off
        op.create_index(
            "ix_tasks_created_at",
            "tasks",
            ["created_at", "id"],
            postgresql_where=sa.text("parent_id IS NULL"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_index("ix_tasks_created_at", "tasks")
