"""Mails about bills, and what became of each at every address"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"

_INSTANT = sa.DateTime(timezone=True)
_NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.create_table(
        "mails",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("bill_id", sa.Uuid(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False, server_default=_NOW),
        sa.Column("tried_since", _INSTANT, nullable=False, server_default=_NOW),
        sa.CheckConstraint("kind IN ('bill', 'reminder', 'notice')", name=op.f("ck_mails_kind")),
        sa.CheckConstraint("(kind = 'notice') = (bill_id IS NULL)", name=op.f("ck_mails_bill")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mails")),
        sa.Index("ix_mails_bill_id", "bill_id", "created_at"),
        sa.Index("ix_mails_created_at", "created_at", "id"),
    )
    op.create_table(
        "mail_recipients",
        sa.Column("mail_id", sa.Uuid(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, server_default="waiting"),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("changed_at", _INSTANT, nullable=False, server_default=_NOW),
        sa.CheckConstraint(
            "state IN ('waiting', 'sent', 'bounced', 'given_up')", name=op.f("ck_mail_recipients_state")
        ),
        sa.CheckConstraint(
            "state NOT IN ('bounced', 'given_up') OR answer IS NOT NULL", name=op.f("ck_mail_recipients_answer")
        ),
        sa.ForeignKeyConstraint(["mail_id"], ["mails.id"], name=op.f("fk_mail_recipients_mail_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("mail_id", "address", name=op.f("pk_mail_recipients")),
        sa.Index("ix_mail_recipients_unsent", "state", "mail_id", postgresql_where=sa.text("state <> 'sent'")),
    )
    op.execute("LOCK TABLE bills IN SHARE ROW EXCLUSIVE MODE")  # last, because others write it
    op.create_foreign_key(op.f("fk_mails_bill_id"), "mails", "bills", ["bill_id"], ["id"])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.execute("LOCK TABLE bills IN ACCESS EXCLUSIVE MODE")
    op.drop_table("mail_recipients")
    op.drop_table("mails")
