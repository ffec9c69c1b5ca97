"""Returns: what partners ask for and what Finance decides, with the reasons that terms list"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0039"
down_revision = "0037"

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.create_table(
        "returns",
        sa.Column("action_id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("asked_at", _INSTANT, nullable=False),
        sa.Column("who_kind", sa.Text(), nullable=False),
        sa.Column("who_id", sa.Uuid(), nullable=True),
        sa.Column("who_name", sa.Text(), nullable=False),
        sa.Column("decided_at", _INSTANT, nullable=True),
        sa.Column("decided_by_kind", sa.Text(), nullable=True),
        sa.Column("decided_by_id", sa.Uuid(), nullable=True),
        sa.Column("decided_by_name", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('asked', 'returned', 'refused')", name=op.f("ck_returns_state")),
        sa.CheckConstraint("who_kind IN ('user', 'key', 'system')", name=op.f("ck_returns_who_kind")),
        sa.CheckConstraint(
            "CASE state WHEN 'asked' THEN num_nonnulls(decided_at, decided_by_kind, decided_by_name, answer) = 0"
            " ELSE num_nonnulls(decided_at, decided_by_kind, decided_by_name) = 3"
            " AND (state <> 'refused' OR answer IS NOT NULL) END",
            name=op.f("ck_returns_decided"),
        ),
        sa.CheckConstraint("decided_by_kind IN ('user', 'key', 'system')", name=op.f("ck_returns_decided_by_kind")),
        sa.PrimaryKeyConstraint("action_id", name=op.f("pk_returns")),
        sa.Index("ix_returns_partner_id", "partner_id", "asked_at", "action_id"),
        sa.Index("ix_returns_state", "state", "asked_at", "action_id"),
    )
    op.add_column(
        "billing_terms",
        sa.Column("return_reasons", postgresql.ARRAY(sa.Text()), nullable=False, server_default="{}"),
    )
    op.execute("LOCK TABLE partners IN SHARE ROW EXCLUSIVE MODE")  # last, because others write it
    op.create_foreign_key(op.f("fk_returns_partner_id"), "returns", "partners", ["partner_id"], ["id"])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_column("billing_terms", "return_reasons")
    op.drop_table("returns")
