"""By which ids the leads of a partner named a person who has several: callers bound to a partner see no others"""

import sqlalchemy as sa
from alembic import op

revision = "0067"
down_revision = "0066"

_AFTER_ALL = 2**62


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.create_table(
        "carried_ids",
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.PrimaryKeyConstraint("partner_id", "customer_id", "id", name=op.f("pk_carried_ids")),
    )
    op.create_index("ix_carried_ids_first", "carried_ids", ["partner_id", "customer_id", "number"])
    op.execute("SET LOCAL enable_nestloop = off")  # without statistics Postgres may read a table for each alias
    # A person whom one partner alone knows has all ids from its leads.
    op.execute(
        """
        INSERT INTO carried_ids (partner_id, customer_id, id)
        SELECT partner_id, customer_id, id FROM (
            SELECT customer_id, (array_agg(partner_id))[1] AS partner_id FROM customer_states
            WHERE customer_id IN (SELECT customer_id FROM customer_aliases) GROUP BY customer_id HAVING count(*) = 1
        ) AS of_one JOIN (
            SELECT customer_id, id, created_at FROM customer_aliases
            UNION ALL SELECT id, id, created_at FROM customers WHERE id IN (SELECT customer_id FROM customer_aliases)
        ) AS named USING (customer_id)
        ORDER BY customer_id, id <> customer_id, created_at
        """
    )
    # Which of several partners sent which id, nobody kept: each gets an id that nobody sent. It counts until leads come.
    op.execute(
        f"""
        WITH made AS (
            INSERT INTO carried_ids (partner_id, customer_id, id, number)
            SELECT partner_id, customer_id, gen_random_uuid(), {_AFTER_ALL} FROM customer_states
            JOIN (
                SELECT customer_id FROM customer_states
                WHERE customer_id IN (SELECT customer_id FROM customer_aliases) GROUP BY customer_id HAVING count(*) > 1
            ) AS of_several USING (customer_id)
            RETURNING customer_id, id
        )
        INSERT INTO customer_aliases (id, external_id, customer_id) SELECT id, id::text, customer_id FROM made
        """  # noqa: S608 - a number of ours
    )
    # Last, because batches wait for it.
    op.add_column(
        "customer_states", sa.Column("has_carried_ids", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.execute(
        """
        UPDATE customer_states AS states SET has_carried_ids = true FROM carried_ids
        WHERE states.partner_id = carried_ids.partner_id AND states.customer_id = carried_ids.customer_id
        """
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_column("customer_states", "has_carried_ids")
    op.drop_table("carried_ids")
