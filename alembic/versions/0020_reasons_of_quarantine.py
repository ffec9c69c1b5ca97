"""Every lead in quarantine has a reason that is known: proved apart, because it reads them all and keeps nobody waiting"""

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.execute("ALTER TABLE quarantine VALIDATE CONSTRAINT ck_quarantine_reason")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.execute("ALTER TABLE quarantine DROP CONSTRAINT ck_quarantine_reason")
    op.execute("""
        ALTER TABLE quarantine ADD CONSTRAINT ck_quarantine_reason
        CHECK (reason IN ('unknown_product', 'unknown_customer', 'conflict', 'action_conflict')) NOT VALID
    """)
