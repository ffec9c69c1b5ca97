"""Background tasks, pauses of the workers, counters for the metrics."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from db.core.tables.base import INSTANT, NOW, metadata

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
    Column("created_at", INSTANT, nullable=False, server_default=NOW),
    Column("finished_at", INSTANT),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", INSTANT),
    Column("last_error", Text),
    Column("dedup_key", Text),
    Column("requested_by_kind", Text),
    Column("requested_by_id", Uuid),
    Column("requested_by_name", Text),
    Column("parent_id", Uuid, ForeignKey("tasks.id", ondelete="CASCADE")),
    Column("failures", Integer, nullable=False, server_default="0"),
    CheckConstraint("state IN ('waiting', 'running', 'done', 'failed')", name="state"),
    CheckConstraint("(finished_at IS NOT NULL) = (state IN ('done', 'failed'))", name="finished"),
    Index("ix_tasks_unfinished", "created_at", postgresql_where=text("finished_at IS NULL")),
    Index("ix_tasks_finished", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
    Index("ix_tasks_parent_id", "parent_id", postgresql_where=text("parent_id IS NOT NULL")),
    Index("ix_tasks_created_at", "created_at", "id", postgresql_where=text("parent_id IS NULL")),
    # Of equal tasks, at most one is unfinished.
    Index(
        "uq_tasks_dedup_key",
        "kind",
        "dedup_key",
        unique=True,
        postgresql_where=text("dedup_key IS NOT NULL AND finished_at IS NULL"),
    ),
)

what_if_differences = Table(
    "what_if_differences",
    metadata,
    Column("position", BigInteger, Identity(), primary_key=True),
    Column("task_id", Uuid, ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
    Column("partner_id", Uuid, nullable=False),
    Column("period", Integer, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("before_minor", BigInteger, nullable=False),
    Column("after_minor", BigInteger, nullable=False),
    Index("ix_what_if_differences_task_id", "task_id", "position"),
)

reconciliation_entries = Table(
    "reconciliation_entries",
    metadata,
    Column("position", BigInteger, Identity(), primary_key=True),
    Column("task_id", Uuid, ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
    Column("part", Text, nullable=False),
    Column("line", Integer),
    Column("key", Uuid, nullable=False),
    Column("lead_id", Text),
    Column("day", Date, nullable=False),
    Column("theirs_minor", BigInteger),
    Column("ours_minor", BigInteger),
    CheckConstraint("part IN ('uploaded', 'missing_here', 'missing_there', 'different')", name="part"),
    CheckConstraint(
        "CASE part WHEN 'different' THEN theirs_minor <> ours_minor WHEN 'missing_there' THEN theirs_minor IS NULL"
        " ELSE ours_minor IS NULL END",
        name="amounts",
    ),
    Index("ix_reconciliation_entries_task_id", "task_id", "part", "position"),
)

pauses = Table(
    "pauses",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("paused_at", INSTANT, nullable=False, server_default=NOW),
    Column("paused_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("resumed_at", INSTANT),
    Column("resumed_by", Text),
    # At most one pause is not resumed.
    UniqueConstraint("resumed_at", postgresql_nulls_not_distinct=True),
    CheckConstraint("(resumed_at IS NULL) = (resumed_by IS NULL)", name="resumed"),
)

text_findings = Table(
    "text_findings",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("other_id", Text),
    Column("detail", Text, nullable=False),
    Column("found_at", INSTANT, nullable=False, server_default=NOW),
    UniqueConstraint("kind", "subject_id"),
)

tallies = Table(
    "tallies",
    metadata,
    Column("name", Text, primary_key=True),
    Column("slot", SmallInteger, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
