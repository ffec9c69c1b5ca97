"""The latest received leads and bills with overage have an index, sessions say in which browser they began, the first Admin a link"""

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0051"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '0'")  # what is done concurrently waits for others, nobody for it
        for name in ("ix_leads_received_at", "ix_bills_overage"):
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # a start that was broken off
        op.create_index("ix_leads_received_at", "leads", ["received_at", "id"], postgresql_concurrently=True)
        op.create_index(
            "ix_bills_overage",
            "bills",
            ["created_at", "id"],
            postgresql_where=sa.text('content LIKE \'%"kind":"overage"%\''),
            postgresql_concurrently=True,
        )
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.create_table(
        "set_up_links",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_set_up_links")),
        if_not_exists=True,
    )
    op.add_column("sessions", sa.Column("user_agent", sa.Text(), nullable=True), if_not_exists=True)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_column("sessions", "user_agent")
    op.drop_table("set_up_links")
    op.drop_index("ix_bills_overage", "bills")
    op.drop_index("ix_leads_received_at", "leads")
