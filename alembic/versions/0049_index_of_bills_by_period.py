"""Bills of a month are listed from an index, the newest first"""

from alembic import op

revision = "0049"
down_revision = "0047"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '0'")  # what is done concurrently waits for others, nobody for it
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_bills_period")  # a start that was broken off
        op.create_index("ix_bills_period", "bills", ["period", "created_at", "id"], postgresql_concurrently=True)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_index("ix_bills_period", "bills")
