"""Contracts: what is agreed with partners for their bills, who sells, and the usage that bills charge."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Integer,
    Numeric,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from db.core.tables.base import INSTANT, NOW, metadata, period_check

billing_terms = Table(
    "billing_terms",
    metadata,
    Column("partner_id", Uuid, ForeignKey("partners.id"), primary_key=True),
    Column("from_period", Integer, primary_key=True),
    Column("monthly_api_limit", BigInteger),
    Column("overage_unit_cost", Numeric(11, 6)),
    Column("usage_sources", ARRAY(Text), nullable=False, server_default="{}"),
    Column("tax_category", Text),
    Column("tax_rate_bp", Integer),
    Column("tax_note", Text),
    Column("payment_days", Integer, nullable=False, server_default="30"),
    Column("po_number", Text),
    Column("address", Text),
    Column("tax_id", Text),
    Column("start_date", Date),
    Column("end_date", Date),
    Column("csm_id", Uuid, ForeignKey("users.id")),
    Column("require_csm_approval", Boolean, nullable=False, server_default="false"),
    Column("return_days", Integer),
    Column("return_reasons", ARRAY(Text), nullable=False, server_default="{}"),
    Column("approvals", JSONB),
    Column("auto_issue", Boolean, nullable=False, server_default="false"),
    Column("send", Boolean, nullable=False, server_default="false"),
    Column("emails", ARRAY(Text), nullable=False, server_default="{}"),
    Column("language", Text, nullable=False, server_default="en"),
    Column("paper", Text, nullable=False, server_default="A4"),
    Column("remind", Boolean, nullable=False, server_default="true"),
    CheckConstraint("from_period = 0 OR " + period_check("from_period"), name="from_period"),
    CheckConstraint("monthly_api_limit >= 0", name="monthly_api_limit"),
    CheckConstraint("overage_unit_cost >= 0", name="overage_unit_cost"),
    CheckConstraint(
        "CASE WHEN tax_category IS NULL THEN tax_rate_bp IS NULL AND tax_note IS NULL"
        " WHEN tax_category = 'S' THEN tax_rate_bp IS NOT NULL AND tax_rate_bp BETWEEN 1 AND 10000"
        " ELSE tax_category IN ('Z', 'E', 'AE', 'O') AND tax_rate_bp IS NOT NULL AND tax_rate_bp = 0 END",
        name="tax",
    ),
    CheckConstraint("payment_days >= 0", name="payment_days"),
    CheckConstraint("return_days >= 0", name="return_days"),
    CheckConstraint("end_date >= start_date", name="dates"),
    CheckConstraint("paper IN ('A4', 'Letter')", name="paper"),
)

billing_settings = Table(
    "billing_settings",
    metadata,
    Column("partner_id", Uuid, ForeignKey("partners.id"), primary_key=True),
    Column("billing_from", Integer),
    Column("number_prefix", Text, unique=True),
    Column("first_number", BigInteger),
    CheckConstraint(period_check("billing_from"), name="billing_from"),
    CheckConstraint("number_prefix ~ '^[A-Z0-9]{2,12}$'", name="number_prefix"),
    CheckConstraint("first_number > 0", name="first_number"),
)

seller = Table(
    "seller",
    metadata,
    Column("only_one", Boolean, primary_key=True, server_default="true"),
    Column("name", Text, nullable=False),
    Column("address", Text),
    Column("tax_id", Text),
    Column("iban", Text),
    Column("small_amount_minor", BigInteger),
    CheckConstraint("only_one", name="only_one"),
    CheckConstraint("small_amount_minor >= 0", name="small_amount"),
)

usage = Table(
    "usage",
    metadata,
    Column("partner_id", Uuid, ForeignKey("partners.id"), primary_key=True),
    Column("period", Integer, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("entry", Integer, primary_key=True),
    Column("units", BigInteger, nullable=False),
    Column("entered_at", INSTANT, nullable=False, server_default=NOW),
    Column("who_kind", Text, nullable=False),
    Column("who_id", Uuid),
    Column("who_name", Text, nullable=False),
    CheckConstraint(period_check("period"), name="period"),
    CheckConstraint("units >= 0", name="units"),
    CheckConstraint("entry > 0", name="entry"),
    CheckConstraint("who_kind IN ('user', 'key', 'system')", name="who_kind"),
)
