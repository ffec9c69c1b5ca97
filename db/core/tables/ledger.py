"""Leads and actions on record with their verdicts, and the counters kept with them.

Triggers keep the references of leads, actions and customer states, once per statement (migration 0004).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Enum,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    Table,
    Text,
    Uuid,
    false,
    text,
)

from billing.actions import HoldStatus, Outcome
from billing.duplicates import NEVER_RELEASED
from billing.totals import TOTALS_COLUMNS
from db.core.tables.base import CONSERVED, INSTANT, NOW, metadata, period_check, totals_columns

outcome_type = Enum(Outcome, name="outcome", metadata=metadata, values_callable=lambda kind: [m.value for m in kind])
hold_status_type = Enum(
    HoldStatus, name="standing", metadata=metadata, values_callable=lambda kind: [m.value for m in kind]
)

leads = Table(
    "leads",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("source", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("partner_id", Uuid, nullable=False),
    Column("product_id", Uuid, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("lead_type", Text, nullable=False),
    Column("created_at", INSTANT, nullable=False),
    Column("received_at", INSTANT, nullable=False),
    Index("ix_leads_created_at", "created_at", "id"),
    Index("ix_leads_received_at", "received_at", "id"),
    Index("ix_leads_partner_id", "partner_id", "created_at", "id"),
    Index("ix_leads_customer_id", "customer_id", "created_at", "id"),
)

actions = Table(
    "actions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("lead_id", Uuid, nullable=False, index=True),
    Column("partner_id", Uuid, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("product_id", Uuid, nullable=False),
    Column("action_type", Text, nullable=False),
    Column("engagement_level", Text, nullable=False),
    Column("occurred_at", INSTANT, nullable=False),
    Column("occurrence", Integer, nullable=False),
    Column("duplicate_key", Uuid, nullable=False),
    Column("own_period", Integer, nullable=False),
    Column("billing_period", Integer, nullable=False),
    Column("rate_rule_id", BigInteger, nullable=False),
    Column("value_minor", BigInteger, nullable=False),
    Column("billed_minor", BigInteger, nullable=False),
    Column("standing", hold_status_type, nullable=False),
    Column("outcome", outcome_type, nullable=False),
    Column("standing_reason", Text),
    CheckConstraint("billing_period >= own_period", name="billing_period"),
    CheckConstraint("occurrence >= 0", name="occurrence"),
    CheckConstraint(
        "CASE outcome"
        " WHEN 'billed' THEN billed_minor = value_minor"
        " WHEN 'partly_billed' THEN billed_minor > 0 AND billed_minor < value_minor"
        " WHEN 'capped' THEN billed_minor = 0 AND value_minor > 0"
        " ELSE billed_minor = 0 END AND value_minor >= 0",
        name="verdict",
    ),
    Index(
        "ix_actions_duplicate_key",
        "partner_id",
        "billing_period",
        "customer_id",
        "duplicate_key",
        "occurred_at",
        postgresql_include=["billed_minor"],  # the cap used before an action is a sum over this index alone
    ),
    Index(
        "ix_actions_won",
        "partner_id",
        "billing_period",
        "customer_id",
        "occurred_at",
        "lead_id",
        postgresql_where=text("outcome IN ('billed', 'partly_billed', 'capped')"),
    ),
    Index("ix_actions_held", "partner_id", "id", postgresql_where=text("standing = 'held'")),
)

winners = Table(
    "winners",
    metadata,
    Column("duplicate_key", Uuid, primary_key=True),
    Column("slot", BigInteger, primary_key=True),
    Column("released_from", Integer, primary_key=True, server_default=str(NEVER_RELEASED)),
    Column("action_id", Uuid, nullable=False),
    Column("partner_id", Uuid, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("billing_period", Integer, nullable=False),
    Column("own_period", Integer, nullable=False),
    Column("occurred_at", INSTANT, nullable=False),
)

customer_states = Table(
    "customer_states",
    metadata,
    Column("partner_id", Uuid, primary_key=True),
    Column("customer_id", Uuid, primary_key=True),
    Column("policy_version", BigInteger, nullable=False),
    Column("has_carried_ids", Boolean, nullable=False, server_default=false()),
    Index("ix_customer_states_policy_version", "partner_id", "policy_version"),
    Index("ix_customer_states_customer_id", "customer_id"),
)

customer_periods = Table(
    "customer_periods",
    metadata,
    Column("partner_id", Uuid, primary_key=True),
    Column("customer_id", Uuid, primary_key=True),
    Column("period", Integer, primary_key=True),
    *totals_columns(),
    Column("credited_minor", BigInteger, nullable=False, server_default="0"),
    Column("last_occurred_at", INSTANT, nullable=False),
    Column("policy_version", BigInteger, nullable=False),
    CheckConstraint(CONSERVED, name="conserved"),
    CheckConstraint(" AND ".join(f"{name} >= 0" for name in TOTALS_COLUMNS), name="not_negative"),
    Index("ix_customer_periods_report", "partner_id", "period", "customer_id"),
)

product_periods = Table(
    "product_periods",
    metadata,
    Column("partner_id", Uuid, primary_key=True),
    Column("period", Integer, primary_key=True),
    Column("product_id", Uuid, primary_key=True),
    Column("slot", SmallInteger, primary_key=True),
    *totals_columns(),
    Column("credited_minor", BigInteger, nullable=False, server_default="0"),
    Column("checksum", Numeric(60, 0), nullable=False, server_default="0"),
    CheckConstraint(CONSERVED, name="conserved"),
    Index("ix_product_periods_period", "period", "partner_id"),
)

report_changes = Table(
    "report_changes",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("period", Integer, nullable=False),
    Column("partner_id", Uuid, nullable=False),
    Index("ix_report_changes_report", "period", "partner_id"),
)

currency_totals = Table(
    "currency_totals",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("currency", Text, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in TOTALS_COLUMNS),
    Column("credited_minor", BigInteger, nullable=False),
)

credits_ = Table(
    "credits",
    metadata,
    Column("action_id", Uuid, ForeignKey("actions.id"), primary_key=True),
    Column("partner_id", Uuid, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("product_id", Uuid, nullable=False),
    Column("period", Integer, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    Index("ix_credits_period", "partner_id", "period"),
    CheckConstraint(period_check("period"), name="period"),
    CheckConstraint("amount_minor >= 0", name="amount"),
)

corrections = Table(
    "corrections",
    metadata,
    Column("wrong_id", Uuid, ForeignKey("actions.id"), primary_key=True),
    Column("right_id", Uuid, ForeignKey("actions.id"), nullable=False, unique=True),
    Column("partner_id", Uuid, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    CheckConstraint("wrong_id <> right_id", name="another"),
    Index("ix_corrections_customer", "partner_id", "customer_id"),
)

action_external_ids = Table(
    "action_external_ids",
    metadata,
    Column("action_id", Uuid, ForeignKey("actions.id"), primary_key=True),
    Column("external_id", Text, nullable=False),
)
