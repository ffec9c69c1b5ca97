"""The first period of a partner that was closed, so that reopening it leaves nothing closed"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0009"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.add_column("partners", sa.Column("closed_from", sa.Integer()))
    op.execute(
        "ALTER TABLE partners ADD CONSTRAINT ck_partners_closed_from CHECK (closed_from <= closed_through) NOT VALID"
    )
    # A closing writes a final version, so the oldest one tells where it began.
    op.execute("""
        UPDATE partners SET closed_from = first.period
        FROM (SELECT partner_id, min(period) AS period FROM billing_reports WHERE final GROUP BY partner_id) AS first
        WHERE first.partner_id = partners.id AND first.period <= closed_through
    """)
    op.execute("ALTER TABLE partners VALIDATE CONSTRAINT ck_partners_closed_from")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_constraint("ck_partners_closed_from", "partners")
    op.drop_column("partners", "closed_from")
