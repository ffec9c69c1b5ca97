"""Bills can be listed by their due date, by gross and by what is open, however many there are"""

import sqlalchemy as sa
from alembic import op

revision = "0068"
down_revision = "0067"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '0'")  # what is done concurrently waits for others, nobody for it
        for name in ("ix_bills_due_on", "ix_bills_gross", "ix_account_rests_rest"):
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # of a start that was broken off
        for name, value in (
            ("ix_bills_due_on", "coalesce(due_on, 'infinity'::date)"),
            ("ix_bills_gross", "(net_minor + tax_minor)"),
        ):
            op.create_index(name, "bills", ["shown_state", sa.text(value), "id"], postgresql_concurrently=True)
        op.create_index(
            "ix_account_rests_rest",
            "account_rests",
            ["rest_minor", "entry_id"],
            postgresql_where=sa.text("rest_minor > 0"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_index("ix_account_rests_rest", "account_rests")
    op.drop_index("ix_bills_gross", "bills")
    op.drop_index("ix_bills_due_on", "bills")
