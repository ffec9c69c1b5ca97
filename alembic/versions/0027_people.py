"""People without a role, their sessions, links for passwords and deputies; who made a key"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"

_OLD = "(role = 'partner') = (partner_id IS NOT NULL)"
_NEW = "(role IS NOT DISTINCT FROM 'partner') = (partner_id IS NOT NULL)"
_INSTANT = sa.DateTime(timezone=True)
_NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    # No release before reads or writes users, so they change in place.
    op.alter_column("users", "role", nullable=True)
    op.add_column("users", sa.Column("deactivated_at", _INSTANT, nullable=True))
    op.drop_constraint(op.f("ck_users_partner"), "users")
    op.create_check_constraint(op.f("ck_users_partner"), "users", _NEW)
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False, server_default=_NOW),
        sa.Column("used_at", _INSTANT, nullable=False, server_default=_NOW),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.Column("ended_at", _INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sessions_token_hash")),
        sa.Index("ix_sessions_user_id", "user_id", "browser_hash"),
    )
    op.create_table(
        "password_links",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False, server_default=_NOW),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_password_links_user_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_password_links")),
        sa.Index("ix_password_links_user_id", "user_id"),
    )
    op.create_table(
        "deputies",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("deputy_id", sa.Uuid(), nullable=False),
        sa.Column("until", _INSTANT, nullable=False),
        sa.CheckConstraint("user_id <> deputy_id", name=op.f("ck_deputies_another")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_deputies_user_id")),
        sa.ForeignKeyConstraint(["deputy_id"], ["users.id"], name=op.f("fk_deputies_deputy_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_deputies")),
    )
    op.create_table(
        "key_makers",
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_key_makers_key_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_key_makers_user_id")),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_key_makers")),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    for table in ("key_makers", "deputies", "password_links", "sessions"):
        op.drop_table(table)
    # Whoever may not sign in keeps no password, because the release before knows neither "no role" nor "deactivated".
    op.execute("UPDATE users SET password_hash = NULL WHERE role IS NULL OR deactivated_at IS NOT NULL")
    op.execute("UPDATE users SET role = 'sales' WHERE role IS NULL")
    op.drop_constraint(op.f("ck_users_partner"), "users")
    op.create_check_constraint(op.f("ck_users_partner"), "users", _OLD)
    op.drop_column("users", "deactivated_at")
    op.alter_column("users", "role", nullable=False)
