"""Bills with all that they say, their history, approvals and files; adjustments; numbers"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0030"
down_revision = "0029"

_INSTANT = sa.DateTime(timezone=True)
_NOW = sa.text("clock_timestamp()")
_PERIOD = "period BETWEEN 190001 AND 999912 AND period % 100 BETWEEN 1 AND 12"
_WHO = "{0} IN ('user', 'key', 'system')"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    # No release before wrote bills. The columns that its closing reads keep their names.
    op.drop_table("bill_actions")
    for name in ("state", "amount", "issued"):
        op.drop_constraint(op.f(f"ck_bills_{name}"), "bills")
    op.drop_index("uq_bills_one_per_period", "bills")
    op.drop_column("bills", "amount_minor")
    op.drop_column("bills", "created_by")
    for column in (
        sa.Column("corrects_id", sa.Uuid(), nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.Column("asked", postgresql.ARRAY(sa.Text()), nullable=False, server_default="{}"),
        sa.Column("csm_id", sa.Uuid(), nullable=True),
        sa.Column("issued_on", sa.Date(), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("issue", sa.Text(), nullable=True),
        sa.Column("seal", sa.Text(), nullable=True),
        sa.Column("dispute", sa.Text(), nullable=True),
    ):
        op.add_column("bills", column)
    op.create_check_constraint(
        op.f("ck_bills_state"),
        "bills",
        "state IN ('draft', 'pending', 'approved', 'rejected', 'issued', 'void', 'cancelled')",
    )
    op.create_check_constraint(
        op.f("ck_bills_issued"),
        "bills",
        "num_nonnulls(number, issued_at, issued_on, due_on, issue, seal)"
        " = CASE WHEN state IN ('issued', 'cancelled') THEN 6 ELSE 0 END",
    )
    op.create_foreign_key(op.f("fk_bills_corrects_id"), "bills", "bills", ["corrects_id"], ["id"])
    op.create_foreign_key(op.f("fk_bills_csm_id"), "bills", "users", ["csm_id"], ["id"])
    op.create_index(
        "uq_bills_one_live",
        "bills",
        ["partner_id", "period"],
        unique=True,
        postgresql_where=sa.text("corrects_id IS NULL AND state NOT IN ('void', 'cancelled')"),
    )
    op.create_index("ix_bills_partner_id", "bills", ["partner_id", "period"])
    op.create_index("ix_bills_created_at", "bills", ["created_at", "id"])
    op.create_index("ix_bills_state", "bills", ["state", "created_at", "id"])
    op.create_index("ix_bills_corrects_id", "bills", ["corrects_id"])
    op.execute(
        """
        CREATE FUNCTION refuse_changed_bill() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF OLD.issued_at IS NULL THEN
                RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
            END IF;
            IF TG_OP = 'UPDATE' AND NEW.state IN (OLD.state, 'cancelled')
                AND to_jsonb(NEW) - 'state' - 'dispute' = to_jsonb(OLD) - 'state' - 'dispute'
            THEN
                RETURN NEW;
            END IF;
            RAISE EXCEPTION 'an issued bill never changes' USING ERRCODE = 'check_violation';
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER bills_issued_never_change BEFORE UPDATE OR DELETE ON bills"
        " FOR EACH ROW EXECUTE FUNCTION refuse_changed_bill()"
    )
    op.create_table(
        "bill_actions",
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False, server_default=_NOW),
        sa.Column("who_kind", sa.Text(), nullable=False),
        sa.Column("who_id", sa.Uuid(), nullable=True),
        sa.Column("who_name", sa.Text(), nullable=False),
        sa.Column("move", sa.Text(), nullable=False),
        sa.Column("from_state", sa.Text(), nullable=True),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.CheckConstraint(_WHO.format("who_kind"), name=op.f("ck_bill_actions_who_kind")),
        sa.CheckConstraint("position > 0", name=op.f("ck_bill_actions_position")),
        sa.ForeignKeyConstraint(["bill_id"], ["bills.id"], name=op.f("fk_bill_actions_bill_id")),
        sa.PrimaryKeyConstraint("bill_id", "position", name=op.f("pk_bill_actions")),
    )
    op.execute(
        """
        CREATE FUNCTION refuse_changed_bill_action() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the history of a bill never changes' USING ERRCODE = 'check_violation';
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER bill_actions_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON bill_actions"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_changed_bill_action()"
    )
    op.create_table(
        "bill_approvals",
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.Text(), nullable=True),
        sa.Column("at", _INSTANT, nullable=False, server_default=_NOW),
        sa.ForeignKeyConstraint(["bill_id"], ["bills.id"], name=op.f("fk_bill_approvals_bill_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_bill_approvals_user_id")),
        sa.PrimaryKeyConstraint("bill_id", "user_id", name=op.f("pk_bill_approvals")),
    )
    op.create_table(
        "bill_files",
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False, server_default=_NOW),
        sa.CheckConstraint("format IN ('pdf', 'csv', 'json', 'xlsx')", name=op.f("ck_bill_files_format")),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_bill_files_size")),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name=op.f("ck_bill_files_sha256")),
        sa.ForeignKeyConstraint(["bill_id"], ["bills.id"], name=op.f("fk_bill_files_bill_id")),
        sa.PrimaryKeyConstraint("bill_id", "format", name=op.f("pk_bill_files")),
    )
    op.create_table(
        "bill_numbers",
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("next_number", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('bill', 'credit_note')", name=op.f("ck_bill_numbers_kind")),
        sa.CheckConstraint("next_number > 0", name=op.f("ck_bill_numbers_next_number")),
        sa.PrimaryKeyConstraint("partner_id", "kind", name=op.f("pk_bill_numbers")),
    )
    op.create_table(
        "adjustments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("period", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("own_tax", sa.Boolean(), nullable=False),
        sa.Column("tax_category", sa.Text(), nullable=True),
        sa.Column("tax_rate_bp", sa.Integer(), nullable=True),
        sa.Column("entered_at", _INSTANT, nullable=False, server_default=_NOW),
        sa.Column("who_kind", sa.Text(), nullable=False),
        sa.Column("who_id", sa.Uuid(), nullable=True),
        sa.Column("who_name", sa.Text(), nullable=False),
        sa.Column("taken_back_at", _INSTANT, nullable=True),
        sa.CheckConstraint(_PERIOD, name=op.f("ck_adjustments_period")),
        sa.CheckConstraint("amount_minor <> 0", name=op.f("ck_adjustments_amount")),
        sa.CheckConstraint(_WHO.format("who_kind"), name=op.f("ck_adjustments_who_kind")),
        sa.CheckConstraint(
            "(tax_category IS NULL) = (tax_rate_bp IS NULL) AND (own_tax OR tax_category IS NULL)",
            name=op.f("ck_adjustments_tax"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adjustments")),
        sa.Index("ix_adjustments_partner_id", "partner_id", "period", "entered_at"),
    )
    op.execute("LOCK TABLE partners IN SHARE ROW EXCLUSIVE MODE")  # last, because others write it
    op.create_foreign_key(op.f("fk_bill_numbers_partner_id"), "bill_numbers", "partners", ["partner_id"], ["id"])
    op.create_foreign_key(op.f("fk_adjustments_partner_id"), "adjustments", "partners", ["partner_id"], ["id"])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    for table in ("adjustments", "bill_numbers", "bill_files", "bill_approvals", "bill_actions"):
        op.drop_table(table)
    op.execute("DROP TRIGGER bills_issued_never_change ON bills")
    op.execute("DROP FUNCTION refuse_changed_bill()")
    op.execute("DROP FUNCTION refuse_changed_bill_action()")
    # The release before reads no bill but whether one was issued; of that it needs number and instant.
    op.execute("DELETE FROM bills WHERE corrects_id IS NOT NULL OR state IN ('void', 'cancelled')")
    for index in ("ix_bills_corrects_id", "ix_bills_state", "ix_bills_created_at", "ix_bills_partner_id"):
        op.drop_index(index, "bills")
    op.drop_index("uq_bills_one_live", "bills")
    for name in ("state", "issued"):
        op.drop_constraint(op.f(f"ck_bills_{name}"), "bills")
    op.add_column("bills", sa.Column("created_by", sa.Uuid(), nullable=True))
    op.add_column("bills", sa.Column("amount_minor", sa.BigInteger(), nullable=True))
    op.execute(
        "UPDATE bills SET amount_minor = greatest(0, net_minor + tax_minor),"
        " state = CASE state WHEN 'pending' THEN 'draft' ELSE state END"
    )
    op.alter_column("bills", "amount_minor", nullable=False)
    for column in (
        "corrects_id",
        "content",
        "net_minor",
        "tax_minor",
        "asked",
        "csm_id",
        "issued_on",
        "due_on",
        "issue",
        "seal",
        "dispute",
    ):
        op.drop_column("bills", column)
    op.create_foreign_key(op.f("fk_bills_created_by"), "bills", "users", ["created_by"], ["id"])
    op.create_check_constraint(
        op.f("ck_bills_state"), "bills", "state IN ('draft', 'approved', 'rejected', 'issued', 'paid', 'voided')"
    )
    op.create_check_constraint(op.f("ck_bills_issued"), "bills", "(number IS NOT NULL) = (issued_at IS NOT NULL)")
    op.create_check_constraint(op.f("ck_bills_amount"), "bills", "amount_minor >= 0")
    op.create_index(
        "uq_bills_one_per_period",
        "bills",
        ["partner_id", "period"],
        unique=True,
        postgresql_where=sa.text("state <> 'voided'"),
    )
    op.create_table(
        "bill_actions",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("created_at", _INSTANT, nullable=False, server_default=_NOW),
        sa.CheckConstraint(
            "kind IN ('create', 'approve', 'reject', 'issue', 'pay', 'void')", name=op.f("ck_bill_actions_kind")
        ),
        sa.ForeignKeyConstraint(["bill_id"], ["bills.id"], name=op.f("fk_bill_actions_bill_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_bill_actions_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bill_actions")),
        sa.Index("ix_bill_actions_bill_id", "bill_id"),
    )
