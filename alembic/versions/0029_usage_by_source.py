"""Usage by source and key, with who entered it; what was entered before stays"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"

# Nothing wrote this table before. Whoever filled it by hand finds the rows as the source "api".
_ADDED = """
    ALTER TABLE usage
        ADD COLUMN source text NOT NULL DEFAULT 'api',
        ADD COLUMN key text NOT NULL DEFAULT 'total',
        ADD COLUMN entry integer NOT NULL DEFAULT 1,
        ADD COLUMN entered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        ADD COLUMN who_kind text NOT NULL DEFAULT 'system',
        ADD COLUMN who_id uuid,
        ADD COLUMN who_name text NOT NULL DEFAULT 'system'
"""


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.alter_column("usage", "api_calls", new_column_name="units")
    op.execute("ALTER TABLE usage RENAME CONSTRAINT ck_usage_api_calls TO ck_usage_units")
    op.execute(_ADDED)
    for name in ("source", "key", "entry", "who_kind", "who_name"):
        op.alter_column("usage", name, server_default=None)
    op.drop_constraint("pk_usage", "usage")
    op.create_primary_key("pk_usage", "usage", ["partner_id", "period", "source", "key", "entry"])
    op.create_check_constraint(op.f("ck_usage_entry"), "usage", sa.text("entry > 0"))
    op.create_check_constraint(op.f("ck_usage_who_kind"), "usage", sa.text("who_kind IN ('user', 'key', 'system')"))
    op.execute(
        """
        CREATE FUNCTION refuse_changed_usage() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'an entry of usage never changes; a new one takes its place'
                USING ERRCODE = 'check_violation';
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER usage_never_changes BEFORE UPDATE OR DELETE OR TRUNCATE ON usage
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_changed_usage()
        """
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.execute("DROP TRIGGER usage_never_changes ON usage")
    op.execute("DROP FUNCTION refuse_changed_usage()")
    op.execute(
        """
        CREATE TEMPORARY TABLE summed ON COMMIT DROP AS
        SELECT partner_id, period, sum(units)::bigint AS units FROM (
            SELECT DISTINCT ON (partner_id, period, source, key) partner_id, period, units
            FROM usage ORDER BY partner_id, period, source, key, entry DESC
        ) AS newest GROUP BY partner_id, period
        """
    )
    op.execute("DELETE FROM usage")
    op.drop_constraint("pk_usage", "usage")
    for name in ("who_name", "who_id", "who_kind", "entered_at", "entry", "key", "source"):
        op.drop_column("usage", name)
    op.create_primary_key("pk_usage", "usage", ["partner_id", "period"])
    op.execute("ALTER TABLE usage RENAME CONSTRAINT ck_usage_units TO ck_usage_api_calls")
    op.alter_column("usage", "units", new_column_name="api_calls")
    op.execute("INSERT INTO usage (partner_id, period, api_calls) SELECT * FROM summed")
