"""The schema"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision: str | None = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "scopes <@ ARRAY['ingest', 'read', 'bill', 'metrics', 'admin']", name=op.f("ck_api_keys_scopes")
        ),
        sa.CheckConstraint("cardinality(scopes) > 0", name=op.f("ck_api_keys_some_scope")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_keys_key_hash")),
    )
    op.create_table(
        "customer_periods",
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("period", sa.Integer(), nullable=False),
        sa.Column("leads", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("actions", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("billed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("partly_billed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("capped", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("duplicate", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("held", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("returned", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("gross_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("billed_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("duplicate_savings_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cap_savings_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("held_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("returned_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("credited_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("policy_version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "gross_minor = billed_minor + duplicate_savings_minor + cap_savings_minor + held_minor + returned_minor AND actions = billed + partly_billed + capped + duplicate + held + returned",
            name=op.f("ck_customer_periods_conserved"),
        ),
        sa.CheckConstraint(
            "leads >= 0 AND actions >= 0 AND billed >= 0 AND partly_billed >= 0 AND capped >= 0 AND duplicate >= 0 AND held >= 0 AND returned >= 0 AND gross_minor >= 0 AND billed_minor >= 0 AND duplicate_savings_minor >= 0 AND cap_savings_minor >= 0 AND held_minor >= 0 AND returned_minor >= 0",
            name=op.f("ck_customer_periods_not_negative"),
        ),
        sa.PrimaryKeyConstraint("partner_id", "customer_id", "period", name=op.f("pk_customer_periods")),
    )
    op.create_index(
        "ix_customer_periods_report",
        "customer_periods",
        ["partner_id", "period", "customer_id"],
        unique=False,
    )
    op.create_table(
        "customers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
        sa.UniqueConstraint("email", name=op.f("uq_customers_email")),
        sa.UniqueConstraint("external_id", name=op.f("uq_customers_external_id")),
    )
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("inbox_id", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lead_id", sa.Uuid(), nullable=True),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letters")),
    )
    op.create_index("ix_dead_letters_lead_id", "dead_letters", ["lead_id"], unique=False)
    op.create_index(
        "ix_dead_letters_open",
        "dead_letters",
        ["id"],
        unique=False,
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    op.create_table(
        "inbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("part", sa.SmallInteger(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lead_count", sa.Integer(), nullable=False),
        sa.Column("lead_ids", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint("(done_at IS NULL) = (result IS NULL)", name=op.f("ck_inbox_done")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox")),
    )
    op.create_index(op.f("ix_inbox_batch_id"), "inbox", ["batch_id"], unique=False)
    op.create_index("ix_inbox_waiting", "inbox", ["id"], unique=False, postgresql_where=sa.text("done_at IS NULL"))
    op.create_table(
        "partners",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("billing_email", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("closed_through", sa.Integer(), nullable=True),
        sa.Column("policy_version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_partners_currency")),
        sa.CheckConstraint(
            "closed_through BETWEEN 190001 AND 999912 AND closed_through % 100 BETWEEN 1 AND 12",
            name=op.f("ck_partners_closed_through"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partners")),
        sa.UniqueConstraint("external_id", name=op.f("uq_partners_external_id")),
    )
    op.create_table(
        "product_periods",
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("period", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("slot", sa.SmallInteger(), nullable=False),
        sa.Column("leads", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("actions", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("billed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("partly_billed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("capped", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("duplicate", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("held", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("returned", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("gross_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("billed_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("duplicate_savings_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cap_savings_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("held_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("returned_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("credited_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("checksum", sa.Numeric(precision=60, scale=0), server_default="0", nullable=False),
        sa.CheckConstraint(
            "gross_minor = billed_minor + duplicate_savings_minor + cap_savings_minor + held_minor + returned_minor AND actions = billed + partly_billed + capped + duplicate + held + returned",
            name=op.f("ck_product_periods_conserved"),
        ),
        sa.PrimaryKeyConstraint("partner_id", "period", "product_id", "slot", name=op.f("pk_product_periods")),
    )
    op.create_table(
        "quarantine",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("lead_id", sa.Uuid(), nullable=False),
        sa.Column("content_id", sa.Uuid(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "reason IN ('unknown_product', 'unknown_customer', 'conflict')", name=op.f("ck_quarantine_reason")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        sa.UniqueConstraint("content_id", name=op.f("uq_quarantine_content_id")),
    )
    op.create_index(
        "ix_quarantine_customer_id",
        "quarantine",
        ["customer_id"],
        unique=False,
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    op.create_index("ix_quarantine_lead_id", "quarantine", ["lead_id"], unique=False)
    op.create_index(
        "ix_quarantine_product_id",
        "quarantine",
        ["product_id"],
        unique=False,
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    op.create_table(
        "tallies",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slot", sa.SmallInteger(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", "slot", name=op.f("pk_tallies")),
    )
    op.create_table(
        "tasks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("arguments", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(finished_at IS NOT NULL) = (state IN ('done', 'failed'))", name=op.f("ck_tasks_finished")),
        sa.CheckConstraint("state IN ('waiting', 'running', 'done', 'failed')", name=op.f("ck_tasks_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
    )
    op.create_index(
        "ix_tasks_unfinished",
        "tasks",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "winners",
        sa.Column("duplicate_key", sa.Uuid(), nullable=False),
        sa.Column("slot", sa.BigInteger(), nullable=False),
        sa.Column("released_from", sa.Integer(), server_default="999912", nullable=False),
        sa.Column("action_id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("billing_period", sa.Integer(), nullable=False),
        sa.Column("own_period", sa.Integer(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("duplicate_key", "slot", "released_from", name=op.f("pk_winners")),
    )
    op.create_index(
        "ix_winners_order",
        "winners",
        ["partner_id", "customer_id", "billing_period", "occurred_at"],
        unique=False,
    )
    op.create_table(
        "billing_reports",
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("period", sa.Integer(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("leads", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("actions", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("billed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("partly_billed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("capped", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("duplicate", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("held", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("returned", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("gross_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("billed_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("duplicate_savings_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cap_savings_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("held_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("returned_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("credited_minor", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.Numeric(precision=60, scale=0), nullable=False),
        sa.Column("products", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint(
            "gross_minor = billed_minor + duplicate_savings_minor + cap_savings_minor + held_minor + returned_minor AND actions = billed + partly_billed + capped + duplicate + held + returned",
            name=op.f("ck_billing_reports_conserved"),
        ),
        sa.CheckConstraint(
            "period BETWEEN 190001 AND 999912 AND period % 100 BETWEEN 1 AND 12",
            name=op.f("ck_billing_reports_period"),
        ),
        sa.CheckConstraint("version > 0", name=op.f("ck_billing_reports_version")),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_billing_reports_partner_id")),
        sa.PrimaryKeyConstraint("report_id", "version", name=op.f("pk_billing_reports")),
        sa.UniqueConstraint(
            "partner_id", "period", "version", name=op.f("uq_billing_reports_partner_id_period_version")
        ),
    )
    op.create_table(
        "customer_aliases",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_customer_aliases_customer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_aliases")),
        sa.UniqueConstraint("external_id", name=op.f("uq_customer_aliases_external_id")),
    )
    op.create_index(op.f("ix_customer_aliases_customer_id"), "customer_aliases", ["customer_id"], unique=False)
    op.create_table(
        "customer_states",
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("policy_version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_customer_states_customer_id")),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_customer_states_partner_id")),
        sa.PrimaryKeyConstraint("partner_id", "customer_id", name=op.f("pk_customer_states")),
    )
    op.create_index("ix_customer_states_customer_id", "customer_states", ["customer_id"], unique=False)
    op.create_index(
        "ix_customer_states_policy_version", "customer_states", ["partner_id", "policy_version"], unique=False
    )
    op.create_table(
        "partner_terms",
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("from_period", sa.Integer(), nullable=False),
        sa.Column("cap_minor", sa.BigInteger(), nullable=True),
        sa.Column("cap_scope", sa.Text(), nullable=False),
        sa.Column("dedup_window", sa.Text(), nullable=False),
        sa.Column("dedup_days", sa.Integer(), nullable=True),
        sa.Column("monthly_api_limit", sa.BigInteger(), nullable=True),
        sa.Column("overage_unit_cost_minor", sa.BigInteger(), nullable=True),
        sa.Column("csm", sa.Text(), nullable=True),
        sa.Column("csm_must_approve", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("start_date", sa.Date(), nullable=True),
        sa.Column("end_date", sa.Date(), nullable=True),
        sa.Column("preferences", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.CheckConstraint("cap_scope IN ('period', 'lifetime')", name=op.f("ck_partner_terms_scope")),
        sa.CheckConstraint(
            "dedup_window IN ('forever', 'period') AND dedup_days IS NULL OR dedup_window = 'days' AND dedup_days IS NOT NULL AND dedup_days BETWEEN 1 AND 3650",
            name=op.f("ck_partner_terms_window"),
        ),
        sa.CheckConstraint("cap_minor >= 0", name=op.f("ck_partner_terms_cap")),
        sa.CheckConstraint("end_date >= start_date", name=op.f("ck_partner_terms_dates")),
        sa.CheckConstraint(
            "from_period = 0 OR from_period BETWEEN 190001 AND 999912 AND from_period % 100 BETWEEN 1 AND 12",
            name=op.f("ck_partner_terms_from_period"),
        ),
        sa.CheckConstraint("monthly_api_limit >= 0", name=op.f("ck_partner_terms_limit")),
        sa.CheckConstraint("overage_unit_cost_minor >= 0", name=op.f("ck_partner_terms_overage")),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_partner_terms_partner_id")),
        sa.PrimaryKeyConstraint("partner_id", "from_period", name=op.f("pk_partner_terms")),
    )
    op.create_table(
        "partner_time_zones",
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("from_period", sa.Integer(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "from_period = 0 OR from_period BETWEEN 190001 AND 999912 AND from_period % 100 BETWEEN 1 AND 12",
            name=op.f("ck_partner_time_zones_from_period"),
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_partner_time_zones_partner_id")),
        sa.PrimaryKeyConstraint("partner_id", "from_period", name=op.f("pk_partner_time_zones")),
    )
    op.create_table(
        "periods",
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("period", sa.Integer(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_periods_bounds")),
        sa.CheckConstraint(
            "period BETWEEN 190001 AND 999912 AND period % 100 BETWEEN 1 AND 12",
            name=op.f("ck_periods_period"),
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_periods_partner_id")),
        sa.PrimaryKeyConstraint("partner_id", "period", name=op.f("pk_periods")),
    )
    op.create_table(
        "products",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_products_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
        sa.UniqueConstraint("external_id", name=op.f("uq_products_external_id")),
        sa.UniqueConstraint("id", "partner_id", name=op.f("uq_products_id_partner_id")),
    )
    op.create_index(op.f("ix_products_partner_id"), "products", ["partner_id"], unique=False)
    op.create_table(
        "usage",
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("period", sa.Integer(), nullable=False),
        sa.Column("api_calls", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("api_calls >= 0", name=op.f("ck_usage_api_calls")),
        sa.CheckConstraint(
            "period BETWEEN 190001 AND 999912 AND period % 100 BETWEEN 1 AND 12", name=op.f("ck_usage_period")
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_usage_partner_id")),
        sa.PrimaryKeyConstraint("partner_id", "period", name=op.f("pk_usage")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("(role = 'partner') = (partner_id IS NOT NULL)", name=op.f("ck_users_partner")),
        sa.CheckConstraint(
            "role IN ('admin', 'finance', 'customer_success', 'sales', 'partner')", name=op.f("ck_users_role")
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_users_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )
    op.create_table(
        "billing_report_files",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("format IN ('csv', 'md', 'json', 'pdf')", name=op.f("ck_billing_report_files_format")),
        sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name=op.f("ck_billing_report_files_sha256")),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_billing_report_files_size")),
        sa.ForeignKeyConstraint(
            ["report_id", "version"],
            ["billing_reports.report_id", "billing_reports.version"],
            name=op.f("fk_billing_report_files_report_id_version"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_report_files")),
        sa.UniqueConstraint(
            "report_id", "version", "format", name=op.f("uq_billing_report_files_report_id_version_format")
        ),
    )
    op.create_table(
        "bills",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Text(), nullable=True),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("period", sa.Integer(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('draft', 'approved', 'rejected', 'issued', 'paid', 'voided')",
            name=op.f("ck_bills_state"),
        ),
        sa.CheckConstraint("(number IS NOT NULL) = (issued_at IS NOT NULL)", name=op.f("ck_bills_issued")),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_bills_amount")),
        sa.CheckConstraint(
            "period BETWEEN 190001 AND 999912 AND period % 100 BETWEEN 1 AND 12", name=op.f("ck_bills_period")
        ),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_bills_created_by")),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_bills_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bills")),
        sa.UniqueConstraint("number", name=op.f("uq_bills_number")),
    )
    op.create_index(
        "uq_bills_one_per_period",
        "bills",
        ["partner_id", "period"],
        unique=True,
        postgresql_where=sa.text("state <> 'voided'"),
    )
    op.create_table(
        "leads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("lead_type", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_leads_customer_id")),
        sa.ForeignKeyConstraint(
            ["product_id", "partner_id"],
            ["products.id", "products.partner_id"],
            name=op.f("fk_leads_product_id_partner_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leads")),
    )
    op.create_index("ix_leads_created_at", "leads", ["created_at", "id"], unique=False)
    op.create_index("ix_leads_customer_id", "leads", ["customer_id", "created_at", "id"], unique=False)
    op.create_index("ix_leads_partner_id", "leads", ["partner_id", "created_at", "id"], unique=False)
    op.create_table(
        "rate_rules",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=True),
        sa.Column("product_id", sa.Uuid(), nullable=True),
        sa.Column("lead_type", sa.Text(), nullable=True),
        sa.Column("action_type", sa.Text(), nullable=True),
        sa.Column("engagement_level", sa.Text(), nullable=True),
        sa.Column("lead_type_key", sa.Text(), nullable=True),
        sa.Column("action_type_key", sa.Text(), nullable=True),
        sa.Column("level_key", sa.Text(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("level_key IN ('high', 'medium', 'low')", name=op.f("ck_rate_rules_level")),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_rate_rules_amount")),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_rate_rules_partner_id")),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name=op.f("fk_rate_rules_product_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rate_rules")),
        sa.UniqueConstraint(
            "partner_id",
            "product_id",
            "lead_type_key",
            "action_type_key",
            "level_key",
            "effective_from",
            name="uq_rate_rules_conditions",
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_table(
        "actions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lead_id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("action_type", sa.Text(), nullable=False),
        sa.Column("engagement_level", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("occurrence", sa.Integer(), nullable=False),
        sa.Column("duplicate_key", sa.Uuid(), nullable=False),
        sa.Column("own_period", sa.Integer(), nullable=False),
        sa.Column("billing_period", sa.Integer(), nullable=False),
        sa.Column("rate_rule_id", sa.BigInteger(), nullable=False),
        sa.Column("value_minor", sa.BigInteger(), nullable=False),
        sa.Column("billed_minor", sa.BigInteger(), nullable=False),
        sa.Column("standing", sa.Enum("counted", "held", "returned", name="standing"), nullable=False),
        sa.Column(
            "outcome",
            sa.Enum("billed", "partly_billed", "capped", "duplicate", "held", "returned", name="outcome"),
            nullable=False,
        ),
        sa.Column("standing_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "CASE outcome WHEN 'billed' THEN billed_minor = value_minor WHEN 'partly_billed' THEN billed_minor > 0 AND billed_minor < value_minor WHEN 'capped' THEN billed_minor = 0 AND value_minor > 0 ELSE billed_minor = 0 END AND value_minor >= 0",
            name=op.f("ck_actions_verdict"),
        ),
        sa.CheckConstraint("billing_period >= own_period", name=op.f("ck_actions_billing_period")),
        sa.CheckConstraint("occurrence >= 0", name=op.f("ck_actions_occurrence")),
        sa.ForeignKeyConstraint(["lead_id"], ["leads.id"], name=op.f("fk_actions_lead_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_actions")),
    )
    op.create_index(
        "ix_actions_evaluation",
        "actions",
        ["partner_id", "billing_period", "customer_id", "occurred_at"],
        unique=False,
    )
    op.create_index(op.f("ix_actions_lead_id"), "actions", ["lead_id"], unique=False)
    op.create_table(
        "bill_actions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "kind IN ('create', 'approve', 'reject', 'issue', 'pay', 'void')",
            name=op.f("ck_bill_actions_kind"),
        ),
        sa.ForeignKeyConstraint(["bill_id"], ["bills.id"], name=op.f("fk_bill_actions_bill_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_bill_actions_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bill_actions")),
    )
    op.create_index(op.f("ix_bill_actions_bill_id"), "bill_actions", ["bill_id"], unique=False)
    op.create_table(
        "credits",
        sa.Column("action_id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("period", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_credits_amount")),
        sa.CheckConstraint(
            "period BETWEEN 190001 AND 999912 AND period % 100 BETWEEN 1 AND 12",
            name=op.f("ck_credits_period"),
        ),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name=op.f("fk_credits_action_id")),
        sa.PrimaryKeyConstraint("action_id", name=op.f("pk_credits")),
    )
    op.create_index("ix_credits_period", "credits", ["partner_id", "period"], unique=False)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.drop_index("ix_credits_period", table_name="credits")
    op.drop_table("credits")
    op.drop_index(op.f("ix_bill_actions_bill_id"), table_name="bill_actions")
    op.drop_table("bill_actions")
    op.drop_index(op.f("ix_actions_lead_id"), table_name="actions")
    op.drop_index("ix_actions_evaluation", table_name="actions")
    op.drop_table("actions")
    op.drop_table("rate_rules")
    op.drop_index("ix_leads_partner_id", table_name="leads")
    op.drop_index("ix_leads_customer_id", table_name="leads")
    op.drop_index("ix_leads_created_at", table_name="leads")
    op.drop_table("leads")
    op.drop_index("uq_bills_one_per_period", table_name="bills", postgresql_where=sa.text("state <> 'voided'"))
    op.drop_table("bills")
    op.drop_table("billing_report_files")
    op.drop_table("users")
    op.drop_table("usage")
    op.drop_index(op.f("ix_products_partner_id"), table_name="products")
    op.drop_table("products")
    op.drop_table("periods")
    op.drop_table("partner_time_zones")
    op.drop_table("partner_terms")
    op.drop_index("ix_customer_states_policy_version", table_name="customer_states")
    op.drop_index("ix_customer_states_customer_id", table_name="customer_states")
    op.drop_table("customer_states")
    op.drop_index(op.f("ix_customer_aliases_customer_id"), table_name="customer_aliases")
    op.drop_table("customer_aliases")
    op.drop_table("billing_reports")
    op.drop_index("ix_winners_order", table_name="winners")
    op.drop_table("winners")
    op.drop_index("ix_tasks_unfinished", table_name="tasks", postgresql_where=sa.text("finished_at IS NULL"))
    op.drop_table("tasks")
    op.drop_table("tallies")
    op.drop_index("ix_quarantine_product_id", table_name="quarantine", postgresql_where=sa.text("resolved_at IS NULL"))
    op.drop_index("ix_quarantine_lead_id", table_name="quarantine")
    op.drop_index("ix_quarantine_customer_id", table_name="quarantine", postgresql_where=sa.text("resolved_at IS NULL"))
    op.drop_table("quarantine")
    op.drop_table("product_periods")
    op.drop_table("partners")
    op.drop_index("ix_inbox_waiting", table_name="inbox", postgresql_where=sa.text("done_at IS NULL"))
    op.drop_index(op.f("ix_inbox_batch_id"), table_name="inbox")
    op.drop_table("inbox")
    op.drop_index("ix_dead_letters_open", table_name="dead_letters", postgresql_where=sa.text("resolved_at IS NULL"))
    op.drop_index("ix_dead_letters_lead_id", table_name="dead_letters")
    op.drop_table("dead_letters")
    op.drop_table("customers")
    op.drop_index("ix_customer_periods_report", table_name="customer_periods")
    op.drop_table("customer_periods")
    op.drop_table("api_keys")
    for name in ("outcome", "standing"):
        op.execute(f"DROP TYPE {name}")
