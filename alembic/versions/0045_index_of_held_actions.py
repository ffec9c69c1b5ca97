"""Held actions are listed from an index that holds nothing else"""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '0'")  # what is done concurrently waits for others, nobody for it
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_actions_held")  # a start that was broken off
        op.create_index(
            "ix_actions_held",
            "actions",
            ["partner_id", "id"],
            postgresql_where=sa.text("standing = 'held'"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_index("ix_actions_held", "actions")
