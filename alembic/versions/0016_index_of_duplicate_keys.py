"""Actions of a customer are found by their duplicate key, and what was billed is added up from the index alone"""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '0'")  # what is done concurrently waits for others, nobody for it
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_actions_duplicate_key")  # a start that was broken off
        op.create_index(
            "ix_actions_duplicate_key",
            "actions",
            ["partner_id", "billing_period", "customer_id", "duplicate_key", "occurred_at"],
            postgresql_include=["billed_minor"],
            postgresql_concurrently=True,
        )
        # It takes the place of this one: an action is written to as many indexes as before.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_actions_evaluation")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.create_index("ix_actions_evaluation", "actions", ["partner_id", "billing_period", "customer_id", "occurred_at"])
    op.drop_index("ix_actions_duplicate_key", "actions")
