"""Partners with their terms and periods, products, customers, rate rules."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from db.core.tables.base import INSTANT, NOW, metadata, period_check

partners = Table(
    "partners",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("external_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("billing_email", Text),
    Column("currency", Text, nullable=False),
    Column("closed_through", Integer),
    Column("policy_version", BigInteger, nullable=False, server_default="1"),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    CheckConstraint(period_check("closed_through"), name="closed_through"),
)

first_closed_periods = Table(
    "first_closed_periods",
    metadata,
    Column("partner_id", Uuid, ForeignKey("partners.id"), primary_key=True),
    Column("period", Integer, nullable=False),
    CheckConstraint(period_check("period"), name="period"),
)

unchanged_terms = Table(
    "unchanged_terms",
    metadata,
    Column("partner_id", Uuid, ForeignKey("partners.id"), primary_key=True),
    Column("since_version", BigInteger, nullable=False),
    Column("through_version", BigInteger, nullable=False),
)

partner_terms = Table(
    "partner_terms",
    metadata,
    Column("partner_id", Uuid, ForeignKey("partners.id"), primary_key=True),
    Column("from_period", Integer, primary_key=True),
    Column("cap_minor", BigInteger),
    Column("cap_scope", Text, nullable=False),
    Column("dedup_window", Text, nullable=False),
    Column("dedup_days", Integer),
    Column("monthly_api_limit", BigInteger),
    Column("overage_unit_cost_minor", BigInteger),
    Column("csm", Text),
    Column("csm_must_approve", Boolean, nullable=False, server_default="false"),
    Column("start_date", Date),
    Column("end_date", Date),
    Column("preferences", JSONB, nullable=False, server_default="{}"),
    CheckConstraint("from_period = 0 OR " + period_check("from_period"), name="from_period"),
    CheckConstraint(
        "dedup_window IN ('forever', 'period') AND dedup_days IS NULL"
        " OR dedup_window = 'days' AND dedup_days IS NOT NULL AND dedup_days BETWEEN 1 AND 3650",
        name="window",
    ),
    CheckConstraint("end_date >= start_date", name="dates"),
    CheckConstraint("cap_minor >= 0", name="cap"),
    CheckConstraint("cap_scope IN ('period', 'lifetime')", name="scope"),
    CheckConstraint("monthly_api_limit >= 0", name="limit"),
    CheckConstraint("overage_unit_cost_minor >= 0", name="overage"),
)

partner_time_zones = Table(
    "partner_time_zones",
    metadata,
    Column("partner_id", Uuid, ForeignKey("partners.id"), primary_key=True),
    Column("from_period", Integer, primary_key=True),
    Column("timezone", Text, nullable=False),
    CheckConstraint("from_period = 0 OR " + period_check("from_period"), name="from_period"),
)

periods = Table(
    "periods",
    metadata,
    Column("partner_id", Uuid, ForeignKey("partners.id"), primary_key=True),
    Column("period", Integer, primary_key=True),
    Column("starts_at", INSTANT, nullable=False),
    Column("ends_at", INSTANT, nullable=False),
    CheckConstraint("ends_at > starts_at", name="bounds"),
    CheckConstraint(period_check("period"), name="period"),
)

products = Table(
    "products",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("external_id", Text, nullable=False, unique=True),
    Column("partner_id", Uuid, ForeignKey("partners.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    UniqueConstraint("id", "partner_id"),
    Index("ix_products_lower_name", text("lower(name)")),
)

customers = Table(
    "customers",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("external_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False, unique=True),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    Index("ix_customers_lower_name", text("lower(name)")),
)

customer_aliases = Table(
    "customer_aliases",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("external_id", Text, nullable=False, unique=True),
    Column("customer_id", Uuid, ForeignKey("customers.id"), nullable=False, index=True),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
)

carried_ids = Table(
    "carried_ids",
    metadata,
    # No foreign keys: a batch that adds a row would wait for an erasure of the person.
    Column("partner_id", Uuid, primary_key=True),
    Column("customer_id", Uuid, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("number", BigInteger, Identity(), nullable=False),
    Index("ix_carried_ids_first", "partner_id", "customer_id", "number"),
)

erased_customers = Table(
    "erased_customers",
    metadata,
    Column("customer_id", Uuid, ForeignKey("customers.id"), primary_key=True),
    Column("erased_at", INSTANT, nullable=False, server_default=NOW),
    Column("remembered", JSONB),
)

rates = Table(
    "rates",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("partner_id", Uuid, ForeignKey("partners.id")),
    Column("product_id", Uuid, ForeignKey("products.id")),
    Column("lead_type", Text),
    Column("action_type", Text),
    Column("engagement_level", Text),
    Column("lead_type_key", Text),
    Column("action_type_key", Text),
    Column("level_key", Text, nullable=True),
    Column("amount_minor", BigInteger),
    Column("effective_from", INSTANT),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    Column("from_period", Integer),
    Column("created_by", Text),
    Column("ended_at", INSTANT),
    Column("ended_by", Text),
    Column("replaced_by", BigInteger),
    Index(
        "uq_rates_in_force",
        "partner_id",
        "product_id",
        "lead_type_key",
        "action_type_key",
        "level_key",
        "effective_from",
        "from_period",
        unique=True,
        postgresql_where=text("ended_at IS NULL"),
        postgresql_nulls_not_distinct=True,
    ),
    CheckConstraint("level_key IN ('high', 'medium', 'low')", name="level"),
    CheckConstraint("amount_minor >= 0", name="amount"),
    CheckConstraint(
        "from_period IS NULL OR effective_from IS NOT NULL AND " + period_check("from_period"), name="start"
    ),
    CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name="ended"),
    CheckConstraint("isfinite(effective_from)", name="finite"),
)

rate_spans = Table(
    "rate_spans",
    metadata,
    Column("partner_id", Uuid, ForeignKey("partners.id"), primary_key=True),
    Column("rule_id", BigInteger, ForeignKey("rates.id"), primary_key=True, index=True),
    Column("from_period", Integer),
    Column("until_period", Integer),
    CheckConstraint(period_check("from_period"), name="from_period"),
    CheckConstraint(period_check("until_period"), name="until_period"),
)
