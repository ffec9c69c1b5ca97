"""What is agreed with partners for their bills, from which period on, and who sells"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0028"
down_revision = "0027"

_PERIOD = "{0} BETWEEN 190001 AND 999912 AND {0} % 100 BETWEEN 1 AND 12"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    # Tables of their own: the release before reads all columns of partners and of their terms.
    op.create_table(
        "billing_terms",
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("from_period", sa.Integer(), nullable=False),
        sa.Column("monthly_api_limit", sa.BigInteger(), nullable=True),
        sa.Column("overage_unit_cost", sa.Numeric(11, 6), nullable=True),
        sa.Column("usage_sources", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("tax_category", sa.Text(), nullable=True),
        sa.Column("tax_rate_bp", sa.Integer(), nullable=True),
        sa.Column("tax_note", sa.Text(), nullable=True),
        sa.Column("payment_days", sa.Integer(), server_default="30", nullable=False),
        sa.Column("po_number", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("tax_id", sa.Text(), nullable=True),
        sa.Column("start_date", sa.Date(), nullable=True),
        sa.Column("end_date", sa.Date(), nullable=True),
        sa.Column("csm_id", sa.Uuid(), nullable=True),
        sa.Column("require_csm_approval", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("return_days", sa.Integer(), nullable=True),
        sa.Column("approvals", postgresql.JSONB(), nullable=True),
        sa.Column("auto_issue", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("send", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("emails", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("language", sa.Text(), server_default="en", nullable=False),
        sa.Column("paper", sa.Text(), server_default="A4", nullable=False),
        sa.CheckConstraint(
            f"from_period = 0 OR {_PERIOD.format('from_period')}", name=op.f("ck_billing_terms_from_period")
        ),
        sa.CheckConstraint("monthly_api_limit >= 0", name=op.f("ck_billing_terms_monthly_api_limit")),
        sa.CheckConstraint("overage_unit_cost >= 0", name=op.f("ck_billing_terms_overage_unit_cost")),
        sa.CheckConstraint(
            "CASE WHEN tax_category IS NULL THEN tax_rate_bp IS NULL AND tax_note IS NULL"
            " WHEN tax_category = 'S' THEN tax_rate_bp IS NOT NULL AND tax_rate_bp BETWEEN 1 AND 10000"
            " ELSE tax_category IN ('Z', 'E', 'AE', 'O') AND tax_rate_bp IS NOT NULL AND tax_rate_bp = 0 END",
            name=op.f("ck_billing_terms_tax"),
        ),
        sa.CheckConstraint("payment_days >= 0", name=op.f("ck_billing_terms_payment_days")),
        sa.CheckConstraint("return_days >= 0", name=op.f("ck_billing_terms_return_days")),
        sa.CheckConstraint("end_date >= start_date", name=op.f("ck_billing_terms_dates")),
        sa.CheckConstraint("paper IN ('A4', 'Letter')", name=op.f("ck_billing_terms_paper")),
        sa.PrimaryKeyConstraint("partner_id", "from_period", name=op.f("pk_billing_terms")),
    )
    op.create_table(
        "billing_settings",
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("billing_from", sa.Integer(), nullable=True),
        sa.Column("number_prefix", sa.Text(), nullable=True),
        sa.Column("first_number", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(_PERIOD.format("billing_from"), name=op.f("ck_billing_settings_billing_from")),
        sa.CheckConstraint("number_prefix ~ '^[A-Z0-9]{2,12}$'", name=op.f("ck_billing_settings_number_prefix")),
        sa.CheckConstraint("first_number > 0", name=op.f("ck_billing_settings_first_number")),
        sa.PrimaryKeyConstraint("partner_id", name=op.f("pk_billing_settings")),
        sa.UniqueConstraint("number_prefix", name=op.f("uq_billing_settings_number_prefix")),
    )
    op.create_table(
        "seller",
        sa.Column("only_one", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("tax_id", sa.Text(), nullable=True),
        sa.Column("iban", sa.Text(), nullable=True),
        sa.Column("small_amount_minor", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("only_one", name=op.f("ck_seller_only_one")),
        sa.CheckConstraint("small_amount_minor >= 0", name=op.f("ck_seller_small_amount")),
        sa.PrimaryKeyConstraint("only_one", name=op.f("pk_seller")),
    )
    # A text names no person, preferences had no form, and no unit costs more than 10,000: such stays in partner_terms.
    op.execute("""
        INSERT INTO billing_terms (partner_id, from_period, monthly_api_limit, overage_unit_cost, start_date, end_date,
            require_csm_approval)
        SELECT partner_id, from_period, monthly_api_limit,
            CASE WHEN overage_unit_cost_minor <= 1000000 THEN overage_unit_cost_minor / 100.0 END, start_date, end_date,
            csm_must_approve
        FROM partner_terms WHERE partner_id IN (
            SELECT partner_id FROM partner_terms
            WHERE csm_must_approve
                OR num_nonnulls(monthly_api_limit, overage_unit_cost_minor, start_date, end_date) > 0
        )
    """)
    # Last, because they lock tables that others write.
    op.execute("LOCK TABLE partners, users IN SHARE ROW EXCLUSIVE MODE")
    op.create_foreign_key(op.f("fk_billing_terms_partner_id"), "billing_terms", "partners", ["partner_id"], ["id"])
    op.create_foreign_key(op.f("fk_billing_terms_csm_id"), "billing_terms", "users", ["csm_id"], ["id"])
    op.create_foreign_key(
        op.f("fk_billing_settings_partner_id"), "billing_settings", "partners", ["partner_id"], ["id"]
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.execute("LOCK TABLE partners, users IN ACCESS EXCLUSIVE MODE")
    op.drop_table("seller")
    op.drop_table("billing_settings")
    op.drop_table("billing_terms")
