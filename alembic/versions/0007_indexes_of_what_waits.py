"""What waits is found by its lane alone, and what is in quarantine without those that have left it"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '0'")  # what is done concurrently waits for others, nobody for it
        # With both, Postgres takes this one for a lane as well, and reads everything that waits.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_inbox_waiting")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_quarantine_open")  # a start that was broken off
        op.create_index(
            "ix_quarantine_open",
            "quarantine",
            ["id"],
            postgresql_where=sa.text("resolved_at IS NULL"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_index("ix_quarantine_open", "quarantine")
    op.create_index("ix_inbox_waiting", "inbox", ["id"], postgresql_where=sa.text("done_at IS NULL"))
