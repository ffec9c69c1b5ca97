"""Returns that people of ours are still to be told of"""

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0049"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.create_table(
        "return_notices",
        sa.Column("action_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("clock_timestamp()")),
        sa.ForeignKeyConstraint(["action_id"], ["returns.action_id"], name=op.f("fk_return_notices_action_id")),
        sa.PrimaryKeyConstraint("action_id", name=op.f("pk_return_notices")),
        sa.Index("ix_return_notices_at", "at"),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_table("return_notices")
