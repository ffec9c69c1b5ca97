"""API keys, the people who sign in, and the audit of what they change."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from db.core.tables.base import INSTANT, NOW, metadata

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("key_hash", LargeBinary, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    Column("expires_at", INSTANT),
    Column("revoked_at", INSTANT),
    CheckConstraint("scopes <@ ARRAY['ingest', 'read', 'bill', 'pricing', 'metrics', 'admin']", name="scopes"),
    CheckConstraint("cardinality(scopes) > 0", name="some_scope"),
)

key_partners = Table(
    "key_partners",
    metadata,
    Column("key_id", Uuid, ForeignKey("api_keys.id"), primary_key=True),
    Column("partner_id", Uuid, ForeignKey("partners.id"), nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("at", INSTANT, nullable=False, server_default=NOW),
    Column("who_kind", Text, nullable=False),
    Column("who_id", Uuid),
    Column("who_name", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("address", Text),
    Column("what", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("before", JSONB),
    Column("after", JSONB),
    CheckConstraint("who_kind IN ('user', 'key', 'system')", name="who_kind"),
)

users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False, unique=True),
    Column("role", Text),
    Column("partner_id", Uuid, ForeignKey("partners.id")),
    Column("password_hash", Text),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    Column("deactivated_at", INSTANT),
    CheckConstraint("role IN ('admin', 'finance', 'customer_success', 'sales', 'partner')", name="role"),
    CheckConstraint("(role IS NOT DISTINCT FROM 'partner') = (partner_id IS NOT NULL)", name="partner"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("browser_hash", LargeBinary, nullable=False),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    Column("used_at", INSTANT, nullable=False, server_default=NOW),
    Column("expires_at", INSTANT, nullable=False),
    Column("ended_at", INSTANT),
    Column("user_agent", Text),
    Index("ix_sessions_user_id", "user_id", "browser_hash"),
)

password_links = Table(
    "password_links",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False, index=True),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    Column("expires_at", INSTANT, nullable=False),
)

set_up_links = Table(
    "set_up_links",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("expires_at", INSTANT, nullable=False),
)

sent_forms = Table(
    "sent_forms",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("led_to", Text, nullable=False, server_default=""),
    Column("at", INSTANT, nullable=False, server_default=NOW),
)

deputies = Table(
    "deputies",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id"), primary_key=True),
    Column("deputy_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("until", INSTANT, nullable=False),
    CheckConstraint("user_id <> deputy_id", name="another"),
    CheckConstraint("isfinite(until)", name="finite"),
)

key_makers = Table(
    "key_makers",
    metadata,
    Column("key_id", Uuid, ForeignKey("api_keys.id"), primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
)
