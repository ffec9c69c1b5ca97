"""Winners are found by their keys alone: an index less to write for each lead"""

from alembic import op

revision = "0064"
down_revision = "0063"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_index("ix_winners_order", "winners", if_exists=True)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.create_index("ix_winners_order", "winners", ["partner_id", "customer_id", "billing_period", "occurred_at"])
