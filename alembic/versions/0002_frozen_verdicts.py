"""The database refuses to change a verdict of a closed period (R11)"""

from alembic import op

revision = "0002"
down_revision = "0001"

_TRIGGERS = {
    "actions_insert_frozen": ("INSERT", "NEW"),
    "actions_update_frozen_before": ("UPDATE", "OLD"),
    "actions_update_frozen_after": ("UPDATE", "NEW"),
    "actions_delete_frozen": ("DELETE", "OLD"),
}


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(
        """
        CREATE FUNCTION refuse_frozen_verdicts() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (
                SELECT FROM touched JOIN partners ON partners.id = touched.partner_id
                WHERE touched.billing_period <= partners.closed_through
            ) THEN
                RAISE EXCEPTION 'a verdict of a closed period never changes' USING ERRCODE = 'check_violation';
            END IF;
            RETURN NULL;
        END $$
        """
    )
    # Once per statement, not per row: a COPY of a thousand actions costs one look at the few partners it touches.
    for name, (event, rows) in _TRIGGERS.items():
        op.execute(
            f"""
            CREATE TRIGGER {name} AFTER {event} ON actions REFERENCING {rows} TABLE AS touched
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_frozen_verdicts()
            """
        )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    for name in _TRIGGERS:
        op.execute(f"DROP TRIGGER {name} ON actions")
    op.execute("DROP FUNCTION refuse_frozen_verdicts()")
