"""A run keeps its figures when it ends, instead of adding up its items whenever somebody looks at it"""

import sqlalchemy as sa
from alembic import op

revision = "0057"
down_revision = "0056"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.create_table(
        "billing_run_figures",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("items", sa.BigInteger(), nullable=False),
        sa.Column("failing", sa.BigInteger(), nullable=False),
        sa.Column("gross_minor", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["billing_runs.id"], name=op.f("fk_billing_run_figures_run_id")),
        sa.PrimaryKeyConstraint("run_id", "outcome", "currency", name=op.f("pk_billing_run_figures")),
    )
    # Those that the release before ends from now on are added up whenever somebody looks.
    op.execute(
        """
        INSERT INTO billing_run_figures (run_id, outcome, currency, items, failing, gross_minor)
        SELECT run_id, outcome, currency, count(*), count(items.error), coalesce(sum(gross_minor), 0)
        FROM billing_run_items AS items JOIN partners ON partners.id = partner_id
        JOIN billing_runs ON billing_runs.id = run_id
        WHERE completed_at IS NOT NULL AND billing_runs.error IS NULL AND outcome IS NOT NULL
        GROUP BY run_id, outcome, currency
        """
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_table("billing_run_figures")
