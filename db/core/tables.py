"""Every table of Leadger. The database itself refuses what must never be: see the keys and checks beside each column.

Money is BIGINT minor units (`_minor`), instants are `timestamptz` (`_at`), periods are integers like 202404. The
references of leads, actions and customer states are kept by triggers, once per statement (migration 0004).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from billing.actions import HoldStatus, Outcome
from billing.evaluate import NEVER_RELEASED
from billing.totals import TOTALS_COLUMNS

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

outcome_type = Enum(Outcome, name="outcome", metadata=metadata, values_callable=lambda kind: [m.value for m in kind])
hold_status_type = Enum(
    HoldStatus, name="standing", metadata=metadata, values_callable=lambda kind: [m.value for m in kind]
)

_NOW = text("clock_timestamp()")
_INSTANT = DateTime(timezone=True)


def _period(name: str) -> str:
    return f"{name} BETWEEN 190001 AND 999912 AND {name} % 100 BETWEEN 1 AND 12"


def _totals() -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False, server_default="0") for name in TOTALS_COLUMNS]


_CONSERVED = (
    "gross_minor = billed_minor + duplicate_savings_minor + cap_savings_minor + held_minor + returned_minor"
    " AND actions = billed + partly_billed + capped + duplicate + held + returned"
)

# --- masters ----------------------------------------------------------------------------------------------------------

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
    Column("created_at", _INSTANT, nullable=False, server_default=_NOW),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    CheckConstraint(_period("closed_through"), name="closed_through"),
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
    CheckConstraint("from_period = 0 OR " + _period("from_period"), name="from_period"),
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
    CheckConstraint("from_period = 0 OR " + _period("from_period"), name="from_period"),
)

periods = Table(
    "periods",
    metadata,
    Column("partner_id", Uuid, ForeignKey("partners.id"), primary_key=True),
    Column("period", Integer, primary_key=True),
    Column("starts_at", _INSTANT, nullable=False),
    Column("ends_at", _INSTANT, nullable=False),
    CheckConstraint("ends_at > starts_at", name="bounds"),
    CheckConstraint(_period("period"), name="period"),
)

products = Table(
    "products",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("external_id", Text, nullable=False, unique=True),
    Column("partner_id", Uuid, ForeignKey("partners.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("created_at", _INSTANT, nullable=False, server_default=_NOW),
    UniqueConstraint("id", "partner_id"),
)

customers = Table(
    "customers",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("external_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False, unique=True),
    Column("created_at", _INSTANT, nullable=False, server_default=_NOW),
)

customer_aliases = Table(
    "customer_aliases",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("external_id", Text, nullable=False, unique=True),
    Column("customer_id", Uuid, ForeignKey("customers.id"), nullable=False, index=True),
    Column("created_at", _INSTANT, nullable=False, server_default=_NOW),
)

rate_rules = Table(
    "rate_rules",
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
    Column("effective_from", _INSTANT),
    Column("created_at", _INSTANT, nullable=False, server_default=_NOW),
    UniqueConstraint(
        "partner_id",
        "product_id",
        "lead_type_key",
        "action_type_key",
        "level_key",
        "effective_from",
        name="uq_rate_rules_conditions",
        postgresql_nulls_not_distinct=True,
    ),
    CheckConstraint("level_key IN ('high', 'medium', 'low')", name="level"),
    CheckConstraint("amount_minor >= 0", name="amount"),
)

# --- the path of a lead -----------------------------------------------------------------------------------------------

inbox = Table(
    "inbox",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("batch_id", Uuid, nullable=False, index=True),
    Column("part", SmallInteger, nullable=False),
    Column("lane", SmallInteger, nullable=False, server_default="0"),
    Column("request_id", Text, nullable=False),
    Column("received_at", _INSTANT, nullable=False),
    Column("lead_count", Integer, nullable=False),
    Column("lead_ids", ARRAY(Uuid), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("done_at", _INSTANT),
    Column("result", JSONB),
    CheckConstraint("(done_at IS NULL) = (result IS NULL)", name="done"),
    Index("ix_inbox_waiting_in_lane", "lane", "id", postgresql_where=text("done_at IS NULL")),
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
    Column("created_at", _INSTANT, nullable=False),
    Column("received_at", _INSTANT, nullable=False),
    Index("ix_leads_created_at", "created_at", "id"),
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
    Column("occurred_at", _INSTANT, nullable=False),
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
    Index("ix_actions_evaluation", "partner_id", "billing_period", "customer_id", "occurred_at"),
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
    Column("occurred_at", _INSTANT, nullable=False),
    Index("ix_winners_order", "partner_id", "customer_id", "billing_period", "occurred_at"),
)

customer_states = Table(
    "customer_states",
    metadata,
    Column("partner_id", Uuid, primary_key=True),
    Column("customer_id", Uuid, primary_key=True),
    Column("policy_version", BigInteger, nullable=False),
    Index("ix_customer_states_policy_version", "partner_id", "policy_version"),
    Index("ix_customer_states_customer_id", "customer_id"),
)

customer_periods = Table(
    "customer_periods",
    metadata,
    Column("partner_id", Uuid, primary_key=True),
    Column("customer_id", Uuid, primary_key=True),
    Column("period", Integer, primary_key=True),
    *_totals(),
    Column("credited_minor", BigInteger, nullable=False, server_default="0"),
    Column("last_occurred_at", _INSTANT, nullable=False),
    Column("policy_version", BigInteger, nullable=False),
    CheckConstraint(_CONSERVED, name="conserved"),
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
    *_totals(),
    Column("credited_minor", BigInteger, nullable=False, server_default="0"),
    Column("checksum", Numeric(60, 0), nullable=False, server_default="0"),
    CheckConstraint(_CONSERVED, name="conserved"),
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
    Column("created_at", _INSTANT, nullable=False, server_default=_NOW),
    Index("ix_credits_period", "partner_id", "period"),
    CheckConstraint(_period("period"), name="period"),
    CheckConstraint("amount_minor >= 0", name="amount"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("lead_id", Uuid, nullable=False),
    Column("content_id", Uuid, nullable=False),
    Column("batch_id", Uuid, nullable=False),
    Column("received_at", _INSTANT, nullable=False),
    Column(
        "reason",
        Text,
        nullable=False,
    ),
    Column("detail", Text, nullable=False),
    Column("product_id", Uuid, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("resolved_at", _INSTANT),
    UniqueConstraint("content_id"),
    Index("ix_quarantine_open", "id", postgresql_where=text("resolved_at IS NULL")),
    Index("ix_quarantine_lead_id", "lead_id"),
    Index("ix_quarantine_product_id", "product_id", postgresql_where=text("resolved_at IS NULL")),
    Index("ix_quarantine_customer_id", "customer_id", postgresql_where=text("resolved_at IS NULL")),
    CheckConstraint("reason IN ('unknown_product', 'unknown_customer', 'conflict')", name="reason"),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("inbox_id", BigInteger, nullable=False),
    Column("batch_id", Uuid, nullable=False),
    Column("received_at", _INSTANT, nullable=False),
    Column("lead_id", Uuid),
    Column("payload", LargeBinary, nullable=False),
    Column("error", Text, nullable=False),
    Column("created_at", _INSTANT, nullable=False, server_default=_NOW),
    Column("resolved_at", _INSTANT),
    Index("ix_dead_letters_open", "id", postgresql_where=text("resolved_at IS NULL")),
    Index("ix_dead_letters_lead_id", "lead_id"),
)

tallies = Table(
    "tallies",
    metadata,
    Column("name", Text, primary_key=True),
    Column("slot", SmallInteger, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

pauses = Table(
    "pauses",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("paused_at", _INSTANT, nullable=False, server_default=_NOW),
    Column("paused_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("resumed_at", _INSTANT),
    Column("resumed_by", Text),
    # One at most is not over.
    UniqueConstraint("resumed_at", postgresql_nulls_not_distinct=True),
    CheckConstraint("(resumed_at IS NULL) = (resumed_by IS NULL)", name="resumed"),
)

# --- reports, tasks, keys ---------------------------------------------------------------------------------------------

billing_reports = Table(
    "billing_reports",
    metadata,
    Column("report_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("partner_id", Uuid, ForeignKey("partners.id"), nullable=False),
    Column("period", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("as_of", _INSTANT, nullable=False),
    Column("final", Boolean, nullable=False),
    Column("digest", Text, nullable=False),
    *_totals(),
    Column("credited_minor", BigInteger, nullable=False),
    Column("checksum", Numeric(60, 0), nullable=False),
    Column("products", JSONB, nullable=False),
    UniqueConstraint("partner_id", "period", "version"),
    CheckConstraint(_CONSERVED, name="conserved"),
    CheckConstraint("version > 0", name="version"),
    CheckConstraint(_period("period"), name="period"),
)

billing_report_files = Table(
    "billing_report_files",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("report_id", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    Column("format", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("created_at", _INSTANT, nullable=False, server_default=_NOW),
    ForeignKeyConstraint(
        ["report_id", "version"], ["billing_reports.report_id", "billing_reports.version"], ondelete="CASCADE"
    ),
    UniqueConstraint("report_id", "version", "format"),
    CheckConstraint("format IN ('csv', 'md', 'json', 'pdf')", name="format"),
    CheckConstraint("size_bytes >= 0", name="size"),
    CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256"),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("arguments", JSONB, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("done", BigInteger, nullable=False, server_default="0"),
    Column("total", BigInteger, nullable=False, server_default="0"),
    Column("result", JSONB),
    Column("error", Text),
    Column("created_at", _INSTANT, nullable=False, server_default=_NOW),
    Column("finished_at", _INSTANT),
    CheckConstraint("state IN ('waiting', 'running', 'done', 'failed')", name="state"),
    CheckConstraint("(finished_at IS NOT NULL) = (state IN ('done', 'failed'))", name="finished"),
    Index("ix_tasks_unfinished", "created_at", postgresql_where=text("finished_at IS NULL")),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("key_hash", LargeBinary, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", _INSTANT, nullable=False, server_default=_NOW),
    Column("expires_at", _INSTANT),
    Column("revoked_at", _INSTANT),
    CheckConstraint("scopes <@ ARRAY['ingest', 'read', 'bill', 'metrics', 'admin']", name="scopes"),
    CheckConstraint("cardinality(scopes) > 0", name="some_scope"),
)

# --- bills and people: the rows that the approval of bills works on ---------------------------------------------------

users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("partner_id", Uuid, ForeignKey("partners.id")),
    Column("password_hash", Text),
    Column("created_at", _INSTANT, nullable=False, server_default=_NOW),
    CheckConstraint("role IN ('admin', 'finance', 'customer_success', 'sales', 'partner')", name="role"),
    CheckConstraint("(role = 'partner') = (partner_id IS NOT NULL)", name="partner"),
)

usage = Table(
    "usage",
    metadata,
    Column("partner_id", Uuid, ForeignKey("partners.id"), primary_key=True),
    Column("period", Integer, primary_key=True),
    Column("api_calls", BigInteger, nullable=False),
    CheckConstraint(_period("period"), name="period"),
    CheckConstraint("api_calls >= 0", name="api_calls"),
)

bills = Table(
    "bills",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("number", Text, unique=True),
    Column("partner_id", Uuid, ForeignKey("partners.id"), nullable=False),
    Column("period", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("created_by", Uuid, ForeignKey("users.id")),
    Column("created_at", _INSTANT, nullable=False, server_default=_NOW),
    Column("issued_at", _INSTANT),
    CheckConstraint("state IN ('draft', 'approved', 'rejected', 'issued', 'paid', 'voided')", name="state"),
    CheckConstraint("(number IS NOT NULL) = (issued_at IS NOT NULL)", name="issued"),
    Index(
        "uq_bills_one_per_period",
        "partner_id",
        "period",
        unique=True,
        postgresql_where=text("state <> 'voided'"),
    ),
    CheckConstraint(_period("period"), name="period"),
    CheckConstraint("amount_minor >= 0", name="amount"),
)

bill_actions = Table(
    "bill_actions",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("bill_id", Uuid, ForeignKey("bills.id"), nullable=False, index=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("comment", Text),
    Column("created_at", _INSTANT, nullable=False, server_default=_NOW),
    CheckConstraint("kind IN ('create', 'approve', 'reject', 'issue', 'pay', 'void')", name="kind"),
)
