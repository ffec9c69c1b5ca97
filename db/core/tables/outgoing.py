"""Webhooks, the messages for them, and what came of sending each."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from db.core.tables.base import INSTANT, NOW, metadata

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False, server_default="webhook"),
    Column("url", Text),
    Column("events", ARRAY(Text), nullable=False),
    Column("partner_id", Uuid, ForeignKey("partners.id")),
    Column("seed", LargeBinary),
    Column("former_seed", LargeBinary),
    Column("former_until", INSTANT),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("failing_since", INSTANT),
    Column("rests_until", INSTANT),
    Column("disabled_at", INSTANT),
    CheckConstraint("kind IN ('webhook', 'slack', 'runs')", name="kind"),
    # Of those that the settings name, the settings alone have the URL, which is a secret.
    CheckConstraint("(kind = 'webhook') = (url IS NOT NULL)", name="url"),
    CheckConstraint("(kind = 'webhook') = (seed IS NOT NULL)", name="seed"),
    CheckConstraint("(former_seed IS NULL) = (former_until IS NULL)", name="former"),
    CheckConstraint("(failures = 0) = (failing_since IS NULL)", name="failing"),
    Index("uq_webhooks_kind", "kind", unique=True, postgresql_where=text("kind <> 'webhook'")),
)

outgoing_messages = Table(
    "outgoing_messages",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("event", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    Index("ix_outgoing_messages_created_at", "created_at"),
)

# What happens is stored whether or not a webhook is being removed at that moment, so `webhook_id` is no foreign key.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("webhook_id", Uuid, nullable=False),
    Column("message_id", Uuid, ForeignKey("outgoing_messages.id", ondelete="CASCADE"), nullable=False),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", INSTANT, server_default=NOW),
    UniqueConstraint("message_id", "webhook_id"),
    CheckConstraint("state IN ('waiting', 'delivered', 'failed')", name="state"),
    CheckConstraint("(state = 'waiting') = (next_attempt_at IS NOT NULL)", name="next_attempt"),
    Index("ix_deliveries_webhook_id", "webhook_id", "id"),
    Index("ix_deliveries_waiting", "webhook_id", "next_attempt_at", postgresql_where=text("state = 'waiting'")),
)

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("delivery_id", BigInteger, ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", INSTANT, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("status", Integer),
    Column("answer", Text),
    Column("error", Text),
)
