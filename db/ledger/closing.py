"""Closing and reopening periods (R11): what makes verdicts final, and what makes them open again."""

from collections.abc import Awaitable, Callable
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
    if policy.closed_through is not None and through <= policy.closed_through:
        raise RuleViolation(f"{name_of_period(through)} is already closed.")
    if now < policy.calendar.end_of(through):
        raise RuleViolation(f"{name_of_period(through)} has not ended yet.")
    first = policy.first_open
    if policy.closed_through is None:
        first = await connection.fetchval(
            "SELECT least($2, min(billing_period)) FROM actions WHERE partner_id = $1", policy.partner_id, through
        )
    return list(periods_between(first, through))


async def check_can_close(connection: asyncpg.Connection, policy: Policy, period: int, now: datetime) -> None:
    """Raise RuleViolation with the reason if the period cannot be closed now."""
    earlier, *_ = await periods_to_close(connection, policy, period, now)
    if earlier < period:
        raise RuleViolation(f"{name_of_period(earlier)} must be closed first.")


async def check_can_reopen(connection: asyncpg.Connection, policy: Policy, period: int) -> None:
    """Raise RuleViolation with the reason if the period cannot be reopened now."""
    if policy.is_open(period):
        raise RuleViolation(f"{name_of_period(period)} is not closed.")
    assert policy.closed_through is not None
    if period != policy.closed_through:
        raise RuleViolation(f"{name_of_period(policy.closed_through)} must be reopened first; the newest goes first.")
    issued = await connection.fetchval(
        "SELECT number FROM bills WHERE partner_id = $1 AND period = $2 AND issued_at IS NOT NULL",
        policy.partner_id,
        period,
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
    connection = uow.connection
    await locks.lock_partner_exclusive(connection, partner_id)
    policy = (await policies.load(connection, [partner_id]))[partner_id]
    await check_can_close(connection, policy, period, now)
    if await reevaluation.stale_customers(connection, [partner_id]):
        return False
    await holds_at_close.move_to_next_period(connection, policy, period)
    if policy.closed_through is None:
        await connection.execute(
            """
            INSERT INTO first_closed_periods (partner_id, period) VALUES ($1, $2)
            ON CONFLICT (partner_id) DO UPDATE SET period = excluded.period
            """,
            partner_id,
            period,
        )
    await connection.execute("UPDATE partners SET closed_through = $2 WHERE id = $1", partner_id, period)
    await report_changes.mark(connection, partner_id, period)
    await uow.audit("period.closed", partner_id, after={"period": text_from_period(period)})
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
    await report_changes.mark(connection, partner_id, period)
    await uow.audit("period.reopened", partner_id, after={"period": text_from_period(period)})
    return await reevaluation.start(uow)
