"""The status of a request: what became of its leads, put together from the results of its rows."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from db.intake import inbox

LEAD_STATES = ("new", "extended", "replayed", "quarantined")
ACTION_STATES = ("billed", "partly_billed", "capped", "duplicate", "held", "replayed", "quarantined")


@dataclass(frozen=True, slots=True)
class RequestStatus:
    """One request (a batch, to callers): "waiting" until all its leads are decided, then "done"."""

    batch_id: UUID
    state: str
    received_at: datetime
    done_at: datetime | None
    accepted: int
    leads: Mapping[str, int]
    """By LEAD_STATES, and "dead" if there are leads among the dead letters."""
    actions: Mapping[str, int]
    """By ACTION_STATES, as decided at `done_at`."""
    possible_correction_count: int


_ROWS = """
    SELECT batch_id, part, received_at, done_at, lead_count, result - 'problems' - 'possible_corrections' AS result
    FROM inbox
"""
"""Counts only: the lists of one request can be as large as the request."""


async def status(connection: asyncpg.Connection, batch_id: UUID) -> RequestStatus | None:
    """The request as decided so far; None if there is none."""
    rows = await connection.fetch(f"{_ROWS} WHERE batch_id = $1", batch_id)
    return _status(batch_id, rows) if rows else None


async def problems(
    connection: asyncpg.Connection, batch_id: UUID, *, after: int | None, limit: int
) -> list[dict[str, Any]]:
    """Of the quarantined leads of a request: index, lead_id, reason, detail; those after an index, in this order."""
    rows = await connection.fetch(
        """
        SELECT problem FROM inbox, jsonb_array_elements(result -> 'problems') AS problem
        WHERE batch_id = $1 AND ($2::bigint IS NULL OR (problem ->> 'index')::bigint > $2)
        ORDER BY (problem ->> 'index')::bigint LIMIT $3
        """,
        batch_id,
        after,
        limit,
    )
    return [row["problem"] for row in rows]


async def possible_corrections(
    connection: asyncpg.Connection, batch_id: UUID, *, after: tuple[int, UUID] | None, limit: int
) -> list[dict[str, Any]]:
    """Possible corrections (`db.intake.possible_corrections`) of a request by index and action, those after a place."""
    rows = await connection.fetch(
        """
        SELECT correction FROM inbox, jsonb_array_elements(result -> 'possible_corrections') AS correction
        CROSS JOIN LATERAL (
            SELECT (correction ->> 'index')::bigint AS index, (correction ->> 'action_id')::uuid AS action_id
        ) AS place
        WHERE batch_id = $1 AND ($2::bigint IS NULL OR (index, action_id) > ($2, $3::uuid))
        ORDER BY index, action_id LIMIT $4
        """,
        batch_id,
        *(after or (None, None)),
        limit,
    )
    return [row["correction"] for row in rows]


async def page(connection: asyncpg.Connection, *, before: int | None, limit: int) -> list[tuple[int, RequestStatus]]:
    """Requests, newest first, each with its position in that order; `before` is the position of the last one seen."""
    firsts = await connection.fetch(
        "SELECT id, batch_id FROM inbox WHERE part = 0 AND ($1::bigint IS NULL OR id < $1) ORDER BY id DESC LIMIT $2",
        before,
        limit,
    )
    parts: dict[UUID, list[asyncpg.Record]] = {row["batch_id"]: [] for row in firsts}
    for row in await connection.fetch(f"{_ROWS} WHERE batch_id = ANY($1::uuid[])", list(parts)):
        parts[row["batch_id"]].append(row)
    return [(row["id"], _status(row["batch_id"], parts[row["batch_id"]])) for row in firsts]


def _status(batch_id: UUID, rows: Sequence[asyncpg.Record]) -> RequestStatus:
    """The results of all rows of a request, added up. A retried dead letter is a row of its own, see RETRIED_PART."""
    leads: Counter[str] = Counter()
    actions: Counter[str] = Counter()
    corrections = 0
    for row in rows:
        if row["result"]:
            result = row["result"]
            leads.update(result["leads"])
            actions.update(result["actions"])
            corrections += result.get("possible_correction_count", 0)
    done = all(row["done_at"] for row in rows)
    retried = sum(row["lead_count"] for row in rows if row["part"] == inbox.RETRIED_PART)
    dead = leads["dead"] - retried
    return RequestStatus(
        batch_id=batch_id,
        state="done" if done else "waiting",
        received_at=min(row["received_at"] for row in rows),
        done_at=max(row["done_at"] for row in rows) if done else None,
        accepted=sum(row["lead_count"] for row in rows) - retried,
        leads={state: leads[state] for state in LEAD_STATES} | ({"dead": dead} if dead > 0 else {}),
        actions={state: actions[state] for state in ACTION_STATES},
        possible_correction_count=corrections,
    )
