"""Written versions of reports, and their files."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from db.core.tables.base import CONSERVED, INSTANT, NOW, metadata, period_check, totals_columns

billing_reports = Table(
    "billing_reports",
    metadata,
    Column("report_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("partner_id", Uuid, ForeignKey("partners.id"), nullable=False),
    Column("period", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("as_of", INSTANT, nullable=False),
    Column("final", Boolean, nullable=False),
    Column("digest", Text, nullable=False),
    *totals_columns(),
    Column("credited_minor", BigInteger, nullable=False),
    Column("checksum", Numeric(60, 0), nullable=False),
    Column("products", JSONB, nullable=False),
    UniqueConstraint("partner_id", "period", "version"),
    CheckConstraint(CONSERVED, name="conserved"),
    CheckConstraint("version > 0", name="version"),
    CheckConstraint(period_check("period"), name="period"),
    Index("ix_billing_reports_period", "period", "partner_id", postgresql_where=text("final")),
)

report_file_removals = Table(
    "report_file_removals",
    metadata,
    Column("url", Text, primary_key=True),
    Column("report_id", Uuid, nullable=False),
    Column("remove_at", INSTANT, nullable=False),
    Index("ix_report_file_removals_remove_at", "remove_at"),
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
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    ForeignKeyConstraint(
        ["report_id", "version"], ["billing_reports.report_id", "billing_reports.version"], ondelete="CASCADE"
    ),
    UniqueConstraint("report_id", "version", "format"),
    CheckConstraint("format IN ('csv', 'md', 'json', 'pdf')", name="format"),
    CheckConstraint("size_bytes >= 0", name="size"),
    CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256"),
)
