"""The first winners of a customer's month are read from an index that has them in evaluation order"""

import sqlalchemy as sa
from alembic import op

revision = "0054"
down_revision = "0052"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '0'")  # what is done concurrently waits for others, nobody for it
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_actions_won")  # a start that was broken off
        op.create_index(
            "ix_actions_won",
            "actions",
            ["partner_id", "billing_period", "customer_id", "occurred_at", "lead_id"],
            postgresql_where=sa.text("outcome IN ('billed', 'partly_billed', 'capped')"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_index("ix_actions_won", "actions")
