"""Lanes in the inbox, so that batches at work at the same time share no customers"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    # The block below commits it; after a start that was broken off there, it is known.
    lane = sa.Column("lane", sa.SmallInteger(), nullable=False, server_default="0")
    op.add_column("inbox", lane, if_not_exists=True)
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '0'")  # an index that is made concurrently waits for others, nobody for it
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_inbox_waiting_in_lane")  # a start that was broken off
        op.create_index(
            "ix_inbox_waiting_in_lane",
            "inbox",
            ["lane", "id"],
            postgresql_where=sa.text("done_at IS NULL"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_index("ix_inbox_waiting_in_lane", "inbox")
    op.drop_column("inbox", "lane")
