"""Returns on record: who asked for them and why, and what became of that (B8)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import asyncpg

from billing.actions import HoldStatus
from billing.bills.return_reasons import ReturnReason
from db.core.actor import Actor, actor_from_row


class ReturnState(StrEnum):
    """What became of a return."""

    ASKED = "asked"
    RETURNED = "returned"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ReturnRecord:
    """A return of an action: who asked for it when and why; once it is decided also who did, when and what they said.

    `lead_id` is the caller's own id of the lead, and `amount_minor` what is billed or was credited for the action.
    """

    action_id: UUID
    partner: str
    currency: str
    lead_id: str
    source: str
    amount_minor: int
    state: ReturnState
    reason: ReturnReason
    asked_at: datetime
    who: Actor
    decided_at: datetime | None
    decided_by: Actor | None
    answer: str | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided about a return; `answer` is the reason of a refusal, or what was said beside a return."""

    state: ReturnState
    who: Actor
    at: datetime
    answer: str | None = None


async def is_returned(connection: asyncpg.Connection, action_id: UUID) -> bool:
    """Whether an action is returned, or credited."""
    found: bool = await connection.fetchval(
        """
        SELECT EXISTS (SELECT FROM actions WHERE id = $1 AND standing = $2)
            OR EXISTS (SELECT FROM credits WHERE action_id = $1)
        """,
        action_id,
        HoldStatus.RETURNED,
    )
    return found


async def ask(connection: asyncpg.Connection, action_id: UUID, reason: ReturnReason, who: Actor, now: datetime) -> None:
    """Keep that the return of an existing action is asked for; it takes the place of one that was undone."""
    await connection.execute(
        """
        INSERT INTO returns (action_id, partner_id, state, reason, text, asked_at, who_kind, who_id, who_name)
        SELECT id, partner_id, 'asked', $2, $3, $4, $5, $6, $7 FROM actions WHERE id = $1
        ON CONFLICT (action_id) DO UPDATE SET state = 'asked', reason = excluded.reason, text = excluded.text,
            asked_at = excluded.asked_at, who_kind = excluded.who_kind, who_id = excluded.who_id,
            who_name = excluded.who_name, decided_at = NULL, decided_by_kind = NULL, decided_by_id = NULL,
            decided_by_name = NULL, answer = NULL
        """,
        action_id,
        reason.reason,
        reason.text,
        now,
        who.kind,
        who.id,
        who.name,
    )


async def decide(connection: asyncpg.Connection, action_id: UUID, decision: Decision) -> None:
    """Keep what was decided about a return on record."""
    await connection.execute(
        """
        UPDATE returns SET state = $2, decided_at = $3, decided_by_kind = $4, decided_by_id = $5, decided_by_name = $6,
            answer = $7
        WHERE action_id = $1
        """,
        action_id,
        decision.state,
        decision.at,
        decision.who.kind,
        decision.who.id,
        decision.who.name,
        decision.answer,
    )


_COLUMNS = """
    returns.*, partners.external_id AS partner, partners.currency, leads.external_id AS lead_id, leads.source,
    coalesce(credits.amount_minor, actions.billed_minor) AS amount_minor
    FROM returns JOIN actions ON actions.id = action_id JOIN leads ON leads.id = actions.lead_id
    JOIN partners ON partners.id = returns.partner_id LEFT JOIN credits USING (action_id)
"""


async def read(connection: asyncpg.Connection, action_id: UUID) -> ReturnRecord | None:
    """The return of an action; None if it is not on record."""
    row = await connection.fetchrow(f"SELECT {_COLUMNS} WHERE action_id = $1", action_id)
    return _record_from_row(row) if row else None


async def of_lead(connection: asyncpg.Connection, lead_id: UUID) -> list[ReturnRecord]:
    """The returns of a lead's actions, those asked for last first."""
    rows = await connection.fetch(f"SELECT {_COLUMNS} WHERE actions.lead_id = $1 ORDER BY asked_at DESC", lead_id)
    return [_record_from_row(row) for row in rows]


async def page(
    connection: asyncpg.Connection,
    *,
    partner_id: UUID | None,
    state: ReturnState | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[ReturnRecord]:
    """Returns on record, those asked for last first."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS}
        WHERE ($1::uuid IS NULL OR returns.partner_id = $1) AND ($2::text IS NULL OR state = $2)
            AND ($3::timestamptz IS NULL OR (asked_at, action_id) < ($3, $4::uuid))
        ORDER BY asked_at DESC, action_id DESC LIMIT $5
        """,
        partner_id,
        state,
        *(before or (None, None)),
        limit,
    )
    return [_record_from_row(row) for row in rows]


def _record_from_row(row: asyncpg.Record) -> ReturnRecord:
    return ReturnRecord(
        action_id=row["action_id"],
        partner=row["partner"],
        currency=row["currency"],
        lead_id=row["lead_id"],
        source=row["source"],
        amount_minor=row["amount_minor"],
        state=ReturnState(row["state"]),
        reason=ReturnReason(row["reason"], row["text"]),
        asked_at=row["asked_at"],
        who=actor_from_row(row),
        decided_at=row["decided_at"],
        decided_by=actor_from_row(row, "decided_by") if row["decided_by_kind"] else None,
        answer=row["answer"],
    )
