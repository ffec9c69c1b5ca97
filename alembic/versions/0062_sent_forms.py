"""Which forms of pages were sent is kept, so that one sent twice is done once; people and products are found by name"""

import sqlalchemy as sa
from alembic import op

revision = "0062"
down_revision = "0057"


_NAMED = ("customers", "products")


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '0'")  # what is done concurrently waits for others, nobody for it
        for table in _NAMED:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS ix_{table}_lower_name")  # a start that was broken off
            op.create_index(f"ix_{table}_lower_name", table, [sa.text("lower(name)")], postgresql_concurrently=True)
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.create_table(
        "sent_forms",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("led_to", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_sent_forms")),
        if_not_exists=True,
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_table("sent_forms")
    for table in _NAMED:
        op.drop_index(f"ix_{table}_lower_name", table)
