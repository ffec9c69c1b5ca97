"""Starting a run on somebody's request: what can never be billed is refused at once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.errors import RuleViolation
from billing.periods import name_of_period, next_period, previous_period, start_of_period
from db.bills import creation
from db.core.unit_of_work import UnitOfWork
from db.ledger.policies import Policies
from db.runs import records
from db.runs.records import ITEMS, Asked, Item, item_from_row

IS_DEAD_LETTER = """
    outcome = 'failed' AND retried_at IS NULL
    AND NOT (SELECT dry_run FROM billing_runs WHERE billing_runs.id = run_id)
    AND NOT EXISTS (
        SELECT FROM bills WHERE bills.partner_id = items.partner_id AND bills.period = items.period
            AND corrects_id IS NULL AND bills.state NOT IN ('void', 'cancelled')
    )
"""
"""Of `items`."""

_FIRST_ZONE = "Etc/GMT-14"
"""Where a month ends first on earth."""


def last_month(now: datetime) -> int:
    """The month before this one, which a run bills that names none."""
    return previous_period(now.year * 100 + now.month)


async def request(uow: UnitOfWork, policies: Policies, asked: Asked, now: datetime) -> UUID:
    """Start a run of a period, by default of last month, and of all before it without a bill; returns its id.

    RuleViolation if the period has ended nowhere, or for one of the named partners has not ended or is never billed.
    """
    period = asked.period or last_month(now)
    if now < start_of_period(next_period(period), _FIRST_ZONE):
        raise RuleViolation(f"{name_of_period(period)} has not ended yet.")
    loaded = await policies.load(uow.connection, asked.partner_ids or [])
    for policy in loaded.values():
        if now < policy.calendar.end_of(period):
            raise RuleViolation(f"{name_of_period(period)} has not ended yet, where the partner is.")
        await creation.first_to_bill(uow.connection, policy.partner_id, period)
    return await records.start(uow, replace(asked, period=period))


async def retry(uow: UnitOfWork, item_ids: Sequence[UUID]) -> list[UUID]:
    """Bill dead letters again, and what waits behind them; returns the runs that do it, one per period."""
    rows = await uow.connection.fetch(
        """
        UPDATE billing_run_items AS items SET retried_at = clock_timestamp()
        FROM billing_runs WHERE items.id = ANY($1::uuid[]) AND run_id = billing_runs.id AND NOT dry_run
            AND outcome = 'failed' AND retried_at IS NULL
        RETURNING partner_id, (
            SELECT max(behind.period) FROM billing_run_items AS behind
            WHERE behind.run_id = items.run_id AND behind.partner_id = items.partner_id
        ) AS through
        """,
        item_ids,
    )
    by_period: dict[int, list[UUID]] = {}
    for row in rows:
        by_period.setdefault(row["through"], []).append(row["partner_id"])
    return [
        await records.start(uow, Asked("retry", period=period, partner_ids=partner_ids))
        for period, partner_ids in sorted(by_period.items())
    ]


async def count_dead_letters(connection: asyncpg.Connection) -> int:
    """How many there are."""
    count: int = await connection.fetchval(f"SELECT count(*) FROM ({ITEMS} WHERE {IS_DEAD_LETTER}) AS found")  # noqa: S608 - constants
    return count


async def dead_letters(
    connection: asyncpg.Connection, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[Item]:
    """What failed for good and nobody has retried or billed since, the newest first."""
    finished_at, item_id = before or (None, None)
    rows = await connection.fetch(
        f"""
        {ITEMS} WHERE {IS_DEAD_LETTER} AND ($1::timestamptz IS NULL OR (finished_at, items.id) < ($1, $2::uuid))
        ORDER BY finished_at DESC, items.id DESC LIMIT $3
        """,
        finished_at,
        item_id,
        limit,
    )
    return [item_from_row(row) for row in rows]


async def dead_letters_of(connection: asyncpg.Connection, run_id: UUID, limit: int) -> list[UUID]:
    """The ids of those of a run, by partner and period."""
    rows = await connection.fetch(
        f"{ITEMS} WHERE run_id = $1 AND {IS_DEAD_LETTER} ORDER BY external_id, items.period LIMIT $2", run_id, limit
    )
    return [row["id"] for row in rows]
