"""Reports of all partners are listed by period, a page at a time"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '0'")  # what is done concurrently waits for others, nobody for it
        for name in ("ix_product_periods_period", "ix_billing_reports_period"):
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # a start that was broken off
        # None of its columns ever changes, so the counters are still updated in place.
        op.create_index(
            "ix_product_periods_period", "product_periods", ["period", "partner_id"], postgresql_concurrently=True
        )
        op.create_index(
            "ix_billing_reports_period",
            "billing_reports",
            ["period", "partner_id"],
            postgresql_where=sa.text("final"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_index("ix_billing_reports_period", "billing_reports")
    op.drop_index("ix_product_periods_period", "product_periods")
