"""The caller's own ids of actions, and why a lead is in quarantine that contradicts one"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

_OF_BEFORE = "'unknown_product', 'unknown_customer', 'conflict'"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.execute("LOCK TABLE actions, quarantine IN ACCESS EXCLUSIVE MODE")
    # A table of its own, with rows only for actions that have such an id: others cost nothing, and the plans of the
    # release before stay valid.
    op.create_table(
        "action_external_ids",
        sa.Column("action_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name=op.f("fk_action_external_ids_action_id")),
        sa.PrimaryKeyConstraint("action_id", name=op.f("pk_action_external_ids")),
    )
    _allow(f"{_OF_BEFORE}, 'action_conflict'")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.execute("UPDATE quarantine SET reason = 'conflict' WHERE reason = 'action_conflict'")
    _allow(_OF_BEFORE)
    op.execute("ALTER TABLE quarantine VALIDATE CONSTRAINT ck_quarantine_reason")
    op.drop_table("action_external_ids")


def _allow(reasons: str) -> None:
    op.execute("ALTER TABLE quarantine DROP CONSTRAINT ck_quarantine_reason")
    op.execute(f"ALTER TABLE quarantine ADD CONSTRAINT ck_quarantine_reason CHECK (reason IN ({reasons})) NOT VALID")
