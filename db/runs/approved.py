"""Approved bills that people have left to a run, because the terms say `auto_issue` (B5)."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.bills.states import Move, State
from billing.errors import RuleViolation
from billing.runs import Outcome
from db.bills import moves, reviews
from db.bills.moves import Asked, Mover
from db.core.unit_of_work import UnitOfWork
from db.runs.planning import Due
from db.runs.records import Result


async def to_issue(
    connection: asyncpg.Connection,
    now: datetime,
    *,
    through: int | None = None,
    partner_ids: Sequence[UUID] | None = None,
) -> list[Due]:
    """The periods with an approved bill that a run may issue, by partner, the oldest first; those up to `through`."""
    rows = await connection.fetch(
        """
        SELECT partner_id, period FROM bills
        WHERE shown_state = $1 AND corrects_id IS NULL AND ($2::int IS NULL OR period <= $2)
            AND ($3::uuid[] IS NULL OR partner_id = ANY($3))
        ORDER BY partner_id, period
        """,
        State.APPROVED,
        through,
        partner_ids,
    )
    agreed = await _left_to_runs(connection, {row["partner_id"] for row in rows}, now)
    return [
        Due(row["partner_id"], row["period"], actions=0, is_open=False, is_old=False)
        for row in rows
        if row["partner_id"] in agreed
    ]


async def untried(connection: asyncpg.Connection, found: Sequence[Due]) -> list[Due]:
    """Those that no run has tried since something happened to a bill of the partner: it would end the same way."""
    rows = await connection.fetch(
        """
        SELECT items.partner_id, items.period
        FROM unnest($1::uuid[], $2::int[]) AS wanted (partner_id, period)
        JOIN billing_run_items AS items USING (partner_id, period)
        JOIN billing_runs ON billing_runs.id = run_id
        WHERE NOT dry_run AND (bill_state = $3 OR outcome = $4) AND finished_at > (
            SELECT max(at) FROM bill_actions JOIN bills ON bills.id = bill_id
            WHERE bills.partner_id = wanted.partner_id
        )
        """,
        [each.partner_id for each in found],
        [each.period for each in found],
        State.APPROVED,
        Outcome.FAILED,
    )
    tried = {(row["partner_id"], row["period"]) for row in rows}
    return [each for each in found if (each.partner_id, each.period) not in tried]


async def issue(uow: UnitOfWork, partner_ids: Collection[UUID], period: int, now: datetime) -> dict[UUID, Result]:
    """Issue what people have approved of partners, whose locks are held; a bill that cannot be stays approved.

    What it asks for is left out of the result: the run that made the bill counted it.
    """
    agreed = await _left_to_runs(uow.connection, partner_ids, now)
    rows = await uow.connection.fetch(
        """
        SELECT id, partner_id, digest FROM bills
        WHERE partner_id = ANY($1::uuid[]) AND period = $2 AND corrects_id IS NULL AND state = $3
        """,
        agreed,
        period,
        State.APPROVED,
    )
    results = {}
    for row in rows:
        try:
            async with uow.connection.transaction():
                await moves.move(uow, row["id"], Asked(Move.ISSUE, row["digest"]), Mover(), now)
        except RuleViolation as refused:
            note = f"The period has a bill already. It is not issued: {refused}"
            results[row["partner_id"]] = Result(Outcome.SKIPPED, row["id"], State.APPROVED, note=note)
        else:
            note = "The bill was approved, and is issued now."
            results[row["partner_id"]] = Result(Outcome.SUCCESSFUL, row["id"], State.ISSUED, note=note)
    return results


async def _left_to_runs(connection: asyncpg.Connection, partner_ids: Collection[UUID], now: datetime) -> list[UUID]:
    agreed = await reviews.terms_of_today_of(connection, partner_ids, now) if partner_ids else {}
    return [partner_id for partner_id, terms in agreed.items() if terms.preferences.auto_issue]
