"""The account of each partner: entries, uses of credits, and what is open or left of each entry"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0031"
down_revision = "0030"

_INSTANT = sa.DateTime(timezone=True)
_NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.create_table(
        "account_entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("booked_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.Column("named", postgresql.JSONB(), nullable=False, server_default="{}"),
        sa.Column("bill_id", sa.Uuid(), nullable=True),
        sa.Column("reverses_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("entered_at", _INSTANT, nullable=False, server_default=_NOW),
        sa.Column("who_kind", sa.Text(), nullable=False),
        sa.Column("who_id", sa.Uuid(), nullable=True),
        sa.Column("who_name", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('bill', 'payment', 'credit_note', 'refund', 'write_off', 'opening_item', 'reversal')",
            name=op.f("ck_account_entries_kind"),
        ),
        sa.CheckConstraint("position > 0", name=op.f("ck_account_entries_position")),
        sa.CheckConstraint("who_kind IN ('user', 'key', 'system')", name=op.f("ck_account_entries_who_kind")),
        sa.CheckConstraint("(kind = 'reversal') = (reverses_id IS NOT NULL)", name=op.f("ck_account_entries_reverses")),
        sa.CheckConstraint(
            "(kind IN ('bill', 'credit_note', 'write_off')) = (bill_id IS NOT NULL)",
            name=op.f("ck_account_entries_bill"),
        ),
        sa.CheckConstraint(
            "(kind IN ('payment', 'refund', 'opening_item')) = (external_id IS NOT NULL)",
            name=op.f("ck_account_entries_external_id"),
        ),
        sa.CheckConstraint(
            "CASE kind WHEN 'payment' THEN amount_minor < 0 WHEN 'write_off' THEN amount_minor < 0"
            " WHEN 'refund' THEN amount_minor > 0 ELSE true END",
            name=op.f("ck_account_entries_sign"),
        ),
        sa.ForeignKeyConstraint(["reverses_id"], ["account_entries.id"], name=op.f("fk_account_entries_reverses_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_entries")),
        sa.Index("uq_account_entries_partner_id", "partner_id", "position", unique=True),
        sa.UniqueConstraint("reverses_id", name=op.f("uq_account_entries_reverses_id")),
        sa.Index("ix_account_entries_booked_on", "partner_id", "booked_on", "position"),
        sa.Index("ix_account_entries_kind", "kind", "entered_at", "id"),
        sa.Index("ix_account_entries_bill_id", "bill_id"),
    )
    op.create_table(
        "account_uses",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("credit_id", sa.Uuid(), nullable=False),
        sa.Column("charge_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("booked_on", sa.Date(), nullable=False),
        sa.Column("entered_at", _INSTANT, nullable=False, server_default=_NOW),
        sa.CheckConstraint("amount_minor <> 0", name=op.f("ck_account_uses_amount")),
        sa.ForeignKeyConstraint(["credit_id"], ["account_entries.id"], name=op.f("fk_account_uses_credit_id")),
        sa.ForeignKeyConstraint(["charge_id"], ["account_entries.id"], name=op.f("fk_account_uses_charge_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_uses")),
        sa.Index("ix_account_uses_credit_id", "credit_id"),
        sa.Index("ix_account_uses_charge_id", "charge_id"),
    )
    op.create_table(
        "account_rests",
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("rest_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("rest_minor >= 0", name=op.f("ck_account_rests_rest")),
        sa.ForeignKeyConstraint(["entry_id"], ["account_entries.id"], name=op.f("fk_account_rests_entry_id")),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_account_rests")),
        sa.Index("ix_account_rests_partner_id", "partner_id", postgresql_where=sa.text("rest_minor > 0")),
    )
    op.execute(
        """
        CREATE FUNCTION refuse_changed_account() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'an account only grows; an entry that mirrors takes one back'
                USING ERRCODE = 'check_violation';
        END $$
        """
    )
    for table in ("account_entries", "account_uses"):
        op.execute(
            f"CREATE TRIGGER {table}_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_changed_account()"
        )
    op.create_foreign_key(op.f("fk_account_entries_bill_id"), "account_entries", "bills", ["bill_id"], ["id"])
    op.execute("LOCK TABLE partners IN SHARE ROW EXCLUSIVE MODE")  # last, because others write it
    for table in ("account_entries", "account_rests"):
        op.create_foreign_key(op.f(f"fk_{table}_partner_id"), table, "partners", ["partner_id"], ["id"])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    for table in ("account_rests", "account_uses", "account_entries"):
        op.drop_table(table)
    op.execute("DROP FUNCTION refuse_changed_account()")
