"""Accepted leads until they are decided, quarantined or dead letters."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from db.core.tables.base import INSTANT, NOW, metadata

inbox = Table(
    "inbox",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("batch_id", Uuid, nullable=False, index=True),
    Column("part", SmallInteger, nullable=False),
    Column("lane", SmallInteger, nullable=False, server_default="0"),
    Column("request_id", Text, nullable=False),
    Column("received_at", INSTANT, nullable=False),
    Column("lead_count", Integer, nullable=False),
    Column("lead_ids", ARRAY(Uuid), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("done_at", INSTANT),
    Column("result", JSONB),
    CheckConstraint("(done_at IS NULL) = (result IS NULL)", name="done"),
    Index("ix_inbox_waiting_in_lane", "lane", "id", postgresql_where=text("done_at IS NULL")),
)

partly_decided = Table(
    "partly_decided",
    metadata,
    # A table of its own: rows that are decided by parts are rare, and the first release reads the inbox as it is.
    Column("inbox_id", BigInteger, primary_key=True, autoincrement=False),
    Column("leads", Integer, nullable=False),
    Column("result", JSONB, nullable=False),
    CheckConstraint("leads > 0", name="leads"),
)

claim_limits = Table(
    "claim_limits",
    metadata,
    Column("lane", SmallInteger, primary_key=True, autoincrement=False),
    Column("most_leads", Integer, nullable=False),
    Column("lost", Integer, nullable=False, server_default="0"),
    Column("begun_at", INSTANT),
    CheckConstraint("most_leads > 0", name="most_leads"),
    CheckConstraint("lost >= 0", name="lost"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("lead_id", Uuid, nullable=False),
    Column("content_id", Uuid, nullable=False),
    Column("batch_id", Uuid, nullable=False),
    Column("received_at", INSTANT, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("product_id", Uuid, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("resolved_at", INSTANT),
    UniqueConstraint("content_id"),
    Index("ix_quarantine_open", "id", postgresql_where=text("resolved_at IS NULL")),
    Index("ix_quarantine_lead_id", "lead_id"),
    Index("ix_quarantine_product_id", "product_id", postgresql_where=text("resolved_at IS NULL")),
    Index("ix_quarantine_customer_id", "customer_id", postgresql_where=text("resolved_at IS NULL")),
    CheckConstraint("reason IN ('unknown_product', 'unknown_customer', 'conflict', 'action_conflict')", name="reason"),
)

quarantine_exits = Table(
    "quarantine_exits",
    metadata,
    Column("quarantine_id", BigInteger, primary_key=True),
    Column("left_at", INSTANT, primary_key=True),
    Column("lead_id", Uuid, nullable=False),
    Column("state", Text, nullable=False),
    Column("left_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    CheckConstraint("state IN ('superseded', 'discarded')", name="state"),
    Index("ix_quarantine_exits_state", "state", "quarantine_id"),
    Index("ix_quarantine_exits_lead_id", "lead_id"),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("inbox_id", BigInteger, nullable=False),
    Column("batch_id", Uuid, nullable=False),
    Column("received_at", INSTANT, nullable=False),
    Column("lead_id", Uuid),
    Column("payload", LargeBinary, nullable=False),
    Column("error", Text, nullable=False),
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    Column("resolved_at", INSTANT),
    Index("ix_dead_letters_open", "id", postgresql_where=text("resolved_at IS NULL")),
    Index("ix_dead_letters_lead_id", "lead_id"),
)
