"""Runs that failed as a whole, with their error"""

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.add_column("billing_runs", sa.Column("error", sa.Text()))
    op.create_check_constraint(
        op.f("ck_billing_runs_error"), "billing_runs", "error IS NULL OR completed_at IS NOT NULL"
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_column("billing_runs", "error")
