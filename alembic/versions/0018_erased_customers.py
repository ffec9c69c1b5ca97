"""Who was erased, and what an erasure that has not ended remembers"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    # A table of its own: a column more of customers would make the plans of the release before stale.
    op.create_table(
        "erased_customers",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("clock_timestamp()")),
        sa.Column("remembered", postgresql.JSONB(), nullable=True),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_erased_customers")),
    )
    # So far the row itself told it. Whoever planted such an e-mail had an id or a name of their own.
    op.execute("""
        INSERT INTO erased_customers (customer_id, erased_at)
        SELECT id, coalesce(
            (
                SELECT min(coalesce((arguments->'erased'->>'erased_at')::timestamptz, finished_at, created_at))
                FROM tasks WHERE kind = 'erase' AND arguments->>'customer_id' = customers.id::text
            ),
            clock_timestamp()
        )
        FROM customers
        WHERE email = id::text || '@erased.invalid' AND external_id = id::text AND name = 'Erased'
    """)
    # Last, because it locks customers.
    op.execute(
        "ALTER TABLE erased_customers ADD CONSTRAINT fk_erased_customers_customer_id"
        " FOREIGN KEY (customer_id) REFERENCES customers (id)"
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_table("erased_customers")
