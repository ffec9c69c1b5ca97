"""The first period of a partner that was closed, so that reopening it leaves nothing closed"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    # A table of its own: a column more of partners would make the plans of the release before stale.
    op.create_table(
        "first_closed_periods",
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("period", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "period BETWEEN 190001 AND 999912 AND period % 100 BETWEEN 1 AND 12",
            name=op.f("ck_first_closed_periods_period"),
        ),
        sa.PrimaryKeyConstraint("partner_id", name=op.f("pk_first_closed_periods")),
    )
    # A closing writes a final version, so the oldest one tells where it began.
    op.execute("""
        INSERT INTO first_closed_periods (partner_id, period)
        SELECT partners.id, min(period) FROM partners JOIN billing_reports ON partner_id = partners.id
        WHERE final AND period <= closed_through GROUP BY partners.id
    """)
    # Last, because it locks partners.
    op.execute(
        "ALTER TABLE first_closed_periods ADD CONSTRAINT fk_first_closed_periods_partner_id"
        " FOREIGN KEY (partner_id) REFERENCES partners (id)"
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_table("first_closed_periods")
