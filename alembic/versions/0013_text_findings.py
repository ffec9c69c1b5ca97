"""What was found when stored texts came under the rules of R1, and the task that brings them there"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.create_table(
        "text_findings",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("other_id", sa.Text()),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_text_findings")),
        sa.UniqueConstraint("kind", "subject_id", name=op.f("uq_text_findings_kind_subject_id")),
    )
    # A worker of this release does it; two minutes later, because one of an older release does not know this kind.
    op.execute(
        """
        INSERT INTO tasks (id, kind, arguments, request_id, dedup_key, created_at)
        SELECT gen_random_uuid(), 'apply_text_rules', '{}', 'migration-0013', 'all', now() + interval '2 minutes'
        WHERE EXISTS (SELECT FROM leads) OR EXISTS (SELECT FROM customers) OR EXISTS (SELECT FROM partners)
        """
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.execute("DELETE FROM tasks WHERE kind = 'apply_text_rules'")
    op.drop_table("text_findings")
