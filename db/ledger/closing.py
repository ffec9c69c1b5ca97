"""Closing and reopening periods (R11): what makes verdicts final, and what makes them open again."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.errors import RuleViolation
from billing.periods import FIRST_PERIOD, name_of_period, periods_between, previous_period, text_from_period
from billing.policy import Policy
from db.core import locks
from db.core.unit_of_work import UnitOfWork
from db.ledger import credit_lines, holds_at_close, periods, reevaluation, report_changes
from db.ledger.policies import Policies


async def periods_to_close(connection: asyncpg.Connection, policy: Policy, through: int, now: datetime) -> list[int]:
    """The open periods through the one given, oldest first; RuleViolation if they cannot be closed now.

    A partner that never closed one begins with its oldest action, and one without any with `through`.
    """
    return (await months_to_close(connection, [policy], through, now))[policy.partner_id]


async def months_to_close(
    connection: asyncpg.Connection, policies: Iterable[Policy], through: int, now: datetime
) -> dict[UUID, list[int]]:
    """The same of several partners."""
    months = {}
    oldest = await _oldest_periods(connection, [each.partner_id for each in policies if each.closed_through is None])
    for policy in policies:
        if policy.closed_through is not None and through <= policy.closed_through:
            raise RuleViolation(f"{name_of_period(through)} is already closed.")
        if now < policy.calendar.end_of(through):
            raise RuleViolation(f"{name_of_period(through)} has not ended yet.")
        first = min(oldest.get(policy.partner_id, through), through) if not policy.first_open else policy.first_open
        months[policy.partner_id] = list(periods_between(first, through))
    return months


async def _oldest_periods(connection: asyncpg.Connection, partner_ids: Sequence[UUID]) -> dict[UUID, int]:
    if not partner_ids:
        return {}
    rows = await connection.fetch(
        """
        SELECT id, (SELECT min(billing_period) FROM actions WHERE partner_id = wanted.id) AS oldest
        FROM unnest($1::uuid[]) AS wanted (id)
        """,
        partner_ids,
    )
    return {row["id"]: row["oldest"] for row in rows if row["oldest"]}


async def check_can_close(connection: asyncpg.Connection, policy: Policy, period: int, now: datetime) -> None:
    """Raise RuleViolation with the reason if the period cannot be closed now."""
    await _check_can_close(connection, {policy.partner_id: policy}, period, now)


async def _check_can_close(
    connection: asyncpg.Connection, policies: Mapping[UUID, Policy], period: int, now: datetime
) -> None:
    for earlier, *_ in (await months_to_close(connection, policies.values(), period, now)).values():
        if earlier < period:
            raise RuleViolation(f"{name_of_period(earlier)} must be closed first.")


async def check_can_reopen(connection: asyncpg.Connection, policy: Policy, period: int) -> None:
    """Raise RuleViolation with the reason if the period cannot be reopened now."""
    if policy.is_open(period):
        raise RuleViolation(f"{name_of_period(period)} is not closed.")
    assert policy.closed_through is not None
    if period != policy.closed_through:
        raise RuleViolation(f"{name_of_period(policy.closed_through)} must be reopened first; the newest goes first.")
    await check_not_issued(connection, policy.partner_id, period)


async def check_not_issued(connection: asyncpg.Connection, partner_id: UUID, period: int) -> None:
    """Raise RuleViolation if the bill of the period is issued; it may be meanwhile until its lock is held."""
    issued = await connection.fetchval(
        "SELECT number FROM bills WHERE partner_id = $1 AND period = $2 AND issued_at IS NOT NULL", partner_id, period
    )
    if issued:
        raise RuleViolation(f"{name_of_period(period)} was billed with {issued}; what is issued never changes.")


async def freeze(
    engine: AsyncEngine,
    unit_of_work: Callable[[], AbstractAsyncContextManager[UnitOfWork]],
    policies: Policies,
    partner_id: UUID,
    period: int,
    now: datetime,
    *,
    also: Callable[[UnitOfWork], Awaitable[None]] | None = None,
) -> None:
    """Close a period; customers whose terms or rates have changed are judged before, in transactions of their own.

    `also` belongs to the unit of work that closes. Raises RuleViolation if the period cannot be closed now.
    """
    while True:
        async with unit_of_work() as uow:
            if await close(uow, policies, partner_id, period, now):
                if also:
                    await also(uow)
                return
        while await reevaluation.rejudge_some_stale(engine, policies, [partner_id]):
            pass


async def close(uow: UnitOfWork, policies: Policies, partner_id: UUID, period: int, now: datetime) -> bool:
    """Freeze the period's verdicts; False if customers must be judged by the present terms first.

    Held actions are never frozen: they move to the next period (R10). Raises RuleViolation if the period cannot be
    closed now.
    """
    await locks.lock_partner_exclusive(uow.connection, partner_id)
    return await close_locked(uow, policies, [partner_id], period, now)


async def close_locked(
    uow: UnitOfWork, policies: Policies, partner_ids: Sequence[UUID], period: int, now: datetime
) -> bool:
    """The same of several partners, whose exclusive locks are held: all of them, or none."""
    connection = uow.connection
    loaded = await policies.load(connection, partner_ids)
    await _check_can_close(connection, loaded, period, now)
    if await reevaluation.stale_customers(connection, partner_ids):
        return False
    for partner_id in await holds_at_close.partners_with_held(connection, partner_ids, period):
        await holds_at_close.move_to_next_period(connection, loaded[partner_id], period)
    await connection.execute(
        """
        INSERT INTO first_closed_periods (partner_id, period) SELECT id, $2 FROM unnest($1::uuid[]) AS wanted (id)
        ON CONFLICT (partner_id) DO UPDATE SET period = excluded.period
        """,
        [partner_id for partner_id in partner_ids if loaded[partner_id].closed_through is None],
        period,
    )
    await connection.execute("UPDATE partners SET closed_through = $2 WHERE id = ANY($1::uuid[])", partner_ids, period)
    await report_changes.mark(connection, partner_ids, period)
    after = {"period": text_from_period(period)}
    await uow.audit_all("period.closed", [(partner_id, None, after) for partner_id in partner_ids])
    return True


async def reopen(uow: UnitOfWork, policies: Policies, partner_id: UUID, period: int) -> UUID:
    """Let the verdicts of the newest closed period change again; returns the task that judges its customers again.

    An action that was returned while the period was frozen loses its credit and is a returned action of the period.
    Raises RuleViolation if the period cannot be reopened now.
    """
    connection = uow.connection
    await locks.lock_partner_exclusive(connection, partner_id)
    policy = (await policies.load(connection, [partner_id]))[partner_id]
    await check_can_reopen(connection, policy, period)
    # The first period that was ever closed leaves nothing closed behind, or a mistyped year could not be taken back.
    was_first = await periods.first_closed(connection, partner_id) == period
    if was_first:
        await connection.execute("DELETE FROM first_closed_periods WHERE partner_id = $1", partner_id)
    await connection.execute(
        "UPDATE partners SET policy_version = policy_version + 1, closed_through = $2::int WHERE id = $1",
        partner_id,
        previous_period(period) if period > FIRST_PERIOD and not was_first else None,
    )
    await credit_lines.turn_into_returns(connection, partner_id, period)
    await report_changes.mark(connection, [partner_id], period)
    await uow.audit("period.reopened", partner_id, after={"period": text_from_period(period)})
    return await reevaluation.start(uow)
