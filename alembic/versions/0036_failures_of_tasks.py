"""Unexpected errors of a task are counted apart from attempts, which the environment may end"""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.add_column("tasks", sa.Column("failures", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.drop_column("tasks", "failures")
