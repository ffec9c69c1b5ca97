"""References of what is written in bulk are checked once per statement

A foreign key runs a query of its own for every row; for batches of leads that was a quarter of Postgres' work. The
triggers look all parents of a statement up at once, each by its primary key. docs/decisions/0011 says what is given up.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

_REFERENCES = {
    "leads_customer_id": ("leads", ["customer_id"], "customers", ["id"]),
    "leads_product_id_partner_id": ("leads", ["product_id", "partner_id"], "products", ["id", "partner_id"]),
    "actions_lead_id": ("actions", ["lead_id"], "leads", ["id"]),
    "customer_states_partner_id": ("customer_states", ["partner_id"], "partners", ["id"]),
    "customer_states_customer_id": ("customer_states", ["customer_id"], "customers", ["id"]),
}

_FIXED_COLUMNS = {
    "partners": ["id"],
    "products": ["id", "partner_id"],
    "customers": ["id"],
    "leads": ["id", "partner_id", "product_id", "customer_id"],
    "actions": ["lead_id"],
    "customer_states": ["partner_id", "customer_id"],
}


_LOCK = "LOCK TABLE customers, products, partners, customer_states, leads, actions IN ACCESS EXCLUSIVE MODE"
"""All at once or none. Readers come to these tables in any order, so some wait for each other and for this; the migration
gives way and is tried again before Postgres would end one of them as the victim of a deadlock (after a second)."""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '200ms'")
    op.execute(_LOCK)
    op.execute(
        """
        CREATE FUNCTION refuse_new_reference() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'what a row of % refers to never changes', TG_TABLE_NAME
                USING ERRCODE = 'foreign_key_violation';
        END $$
        """
    )
    for table, columns in _FIXED_COLUMNS.items():
        op.execute(
            f"""
            CREATE TRIGGER {table}_refer_for_ever BEFORE UPDATE OF {", ".join(columns)} ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_new_reference()
            """
        )
    for name, (child, columns, parent, keys) in _REFERENCES.items():
        pairs = list(zip(columns, keys, strict=True))
        named = ", ".join(columns)
        is_parent = " AND ".join(f"{parent}.{key} = added.{column}" for column, key in pairs)
        is_child = " AND ".join(f"{child}.{column} = removed.{key}" for column, key in pairs)
        # A subquery for each parent, because a join might rather read all parents there are.
        _refuse(
            name=f"refuse_orphans_of_{name}",
            table=child,
            event="INSERT",
            rows="NEW TABLE AS added",
            found=f"SELECT FROM (SELECT DISTINCT {named} FROM added) AS added"  # noqa: S608 - tables and columns of the list above
            f" WHERE (SELECT true FROM {parent} WHERE {is_parent}) IS NULL",
            message=f"{child} must not name {parent} that do not exist",
        )
        _refuse(
            name=f"refuse_to_orphan_{name}",
            table=parent,
            event="DELETE",
            rows="OLD TABLE AS removed",
            found=f"SELECT FROM removed JOIN {child} ON {is_child}",
            message=f"{parent} that {child} name must stay",
        )
        op.execute(f"ALTER TABLE {child} DROP CONSTRAINT fk_{name}")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '200ms'")
    op.execute(_LOCK)
    for name, (child, columns, parent, keys) in _REFERENCES.items():
        op.create_foreign_key(f"fk_{name}", child, parent, columns, keys)
        for table, function in ((child, f"refuse_orphans_of_{name}"), (parent, f"refuse_to_orphan_{name}")):
            op.execute(f"DROP TRIGGER {function} ON {table}")
            op.execute(f"DROP FUNCTION {function}()")
    for table in _FIXED_COLUMNS:
        op.execute(f"DROP TRIGGER {table}_refer_for_ever ON {table}")
    op.execute("DROP FUNCTION refuse_new_reference()")


def _refuse(name: str, table: str, event: str, rows: str, found: str, message: str) -> None:
    op.execute(
        f"""
        CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS ({found}) THEN
                RAISE EXCEPTION '{message}' USING ERRCODE = 'foreign_key_violation';
            END IF;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        f"""
        CREATE TRIGGER {name} AFTER {event} ON {table} REFERENCING {rows}
        FOR EACH STATEMENT EXECUTE FUNCTION {name}()
        """
    )
