"""Of the rules with the same conditions and start, one is in force; those that it replaced stay on record"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_CONDITIONS = ["partner_id", "product_id", "lead_type_key", "action_type_key", "level_key", "effective_from"]


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '0'")  # what is done concurrently waits for others, nobody for it
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS uq_rates_in_force")  # a start that was broken off
        op.create_index(
            "uq_rates_in_force",
            "rates",
            [*_CONDITIONS, "from_period"],
            unique=True,
            postgresql_where=sa.text("ended_at IS NULL"),
            postgresql_nulls_not_distinct=True,
            postgresql_concurrently=True,
        )
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.execute("ALTER TABLE rates DROP CONSTRAINT IF EXISTS uq_rate_rules_conditions")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    # The release before knows neither ended rules nor periods as starts. It would count both.
    op.execute("DELETE FROM rate_spans")
    op.execute("DELETE FROM rates WHERE ended_at IS NOT NULL OR from_period IS NOT NULL")
    op.create_unique_constraint("uq_rate_rules_conditions", "rates", _CONDITIONS, postgresql_nulls_not_distinct=True)
    op.drop_index("uq_rates_in_force", "rates")
