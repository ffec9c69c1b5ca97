"""Reading the audit (P3), the newest line first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from db.core.actor import Actor, actor_from_row


@dataclass(frozen=True, slots=True)
class AuditLine:
    """Who changed what; `before` and `after` hold what differs, None where there was or is nothing."""

    id: int
    at: datetime
    who: Actor
    request_id: str
    address: str | None
    what: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which lines: of an actor, by name or key; of a kind, or of all kinds of an area (`rate`); from start to end."""

    who: str | None = None
    what: str | None = None
    start: datetime | None = None
    end: datetime | None = None


async def page(connection: asyncpg.Connection, only: AuditFilter, *, before: int | None, limit: int) -> list[AuditLine]:
    """Lines older than `before`, the newest first; the time is half open."""
    rows = await connection.fetch(
        """
        SELECT * FROM audit
        WHERE ($1::text IS NULL OR who_name = $1 OR who_id::text = $1)
            AND ($2::text IS NULL OR what = $2 OR split_part(what, '.', 1) = $2)
            AND ($3::timestamptz IS NULL OR at >= $3) AND ($4::timestamptz IS NULL OR at < $4)
            AND ($5::bigint IS NULL OR id < $5)
        ORDER BY id DESC LIMIT $6
        """,
        only.who,
        only.what,
        only.start,
        only.end,
        before,
        limit,
    )
    return [_line_from_row(row) for row in rows]


def _line_from_row(row: asyncpg.Record) -> AuditLine:
    return AuditLine(
        id=row["id"],
        at=row["at"],
        who=actor_from_row(row),
        request_id=row["request_id"],
        address=row["address"],
        what=row["what"],
        subject=row["subject"],
        before=row["before"],
        after=row["after"],
    )
