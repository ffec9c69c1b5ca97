"""The policy versions of a partner between which nothing but rates changed"""

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0045"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    # A table of its own: a column more of partners would make the plans of the release before stale.
    op.create_table(
        "unchanged_terms",
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("since_version", sa.BigInteger(), nullable=False),
        sa.Column("through_version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_unchanged_terms_partner_id")),
        sa.PrimaryKeyConstraint("partner_id", name=op.f("pk_unchanged_terms")),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_table("unchanged_terms")
