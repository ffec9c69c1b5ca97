"""A scope for prices and terms"""

from alembic import op

revision = "0022"
down_revision = "0021"

_OLD = "scopes <@ ARRAY['ingest', 'read', 'bill', 'metrics', 'admin']"
_NEW = "scopes <@ ARRAY['ingest', 'read', 'bill', 'pricing', 'metrics', 'admin']"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_constraint(op.f("ck_api_keys_scopes"), "api_keys")
    op.create_check_constraint(op.f("ck_api_keys_scopes"), "api_keys", _NEW)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    # A key that may nothing else is revoked, because the release before could not say what it is for.
    op.execute("""
        UPDATE api_keys SET revoked_at = coalesce(revoked_at, clock_timestamp()), scopes = '{read}'
        WHERE scopes <@ ARRAY['pricing']
    """)
    op.execute("UPDATE api_keys SET scopes = array_remove(scopes, 'pricing') WHERE 'pricing' = ANY(scopes)")
    op.drop_constraint(op.f("ck_api_keys_scopes"), "api_keys")
    op.create_check_constraint(op.f("ck_api_keys_scopes"), "api_keys", _OLD)
