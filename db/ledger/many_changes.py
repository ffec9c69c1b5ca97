"""Holding, releasing and returning many open actions of some customers of one partner at once (R10)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from billing.actions import HoldStatus
from billing.policy import Policy
from db.core import locks
from db.ledger import judging, reading, single_changes, verdicts
from db.ledger.case import Case
from db.ledger.periods import store_periods
from db.ledger.policies import Policies


@dataclass(frozen=True, slots=True)
class LockedCustomers:
    """Customers of a partner whose verdicts may change, with the policy versions that they were judged by."""

    policy: Policy
    judged_by: Mapping[UUID, int]


@dataclass(frozen=True, slots=True)
class ManyChanges:
    """Actions that change from one hold status to another, each with the reason."""

    reasons: Mapping[UUID, str]
    before: HoldStatus
    after: HoldStatus


async def lock(
    connection: asyncpg.Connection, policies: Policies, partner_id: UUID, customer_ids: Collection[UUID]
) -> LockedCustomers:
    """Take the locks under which the verdicts of a partner's customers may change."""
    await locks.lock_partners_shared(connection, [partner_id])
    versions = await locks.lock_customers(connection, [(partner_id, each) for each in customer_ids])
    policy = (await policies.load(connection, [partner_id]))[partner_id]
    return LockedCustomers(policy, {customer_id: version for (_, customer_id), version in versions.items()})


async def change(
    connection: asyncpg.Connection, locked: LockedCustomers, changes: ManyChanges, *, in_request: bool = False
) -> set[UUID]:
    """Change the actions of locked customers that are open and as `before`, and judge what that can change.

    Returns which did change. In a request, BeingReevaluated where too many actions would have to be judged again.
    """
    policy = locked.policy
    rows = await connection.fetch(
        """
        UPDATE actions SET standing = $1, standing_reason = wanted.reason
        FROM unnest($2::uuid[], $3::text[]) AS wanted (id, reason)
        WHERE actions.id = wanted.id AND partner_id = $4 AND customer_id = ANY($5::uuid[])
            AND standing = $6 AND billing_period >= $7
        RETURNING actions.*
        """,
        changes.after,
        list(changes.reasons),
        list(changes.reasons.values()),
        policy.partner_id,
        list(locked.judged_by),
        changes.before,
        policy.first_open,
    )
    cases: dict[UUID, Case] = {}
    for row in rows:
        customer_id = row["customer_id"]
        if customer_id not in cases:
            cases[customer_id] = Case((policy.partner_id, customer_id), policy, locked.judged_by[customer_id])
        if not cases[customer_id].is_stale:
            cases[customer_id].recorded[row["id"]] = reading.verdict_from_row(row)
    stale = [case for case in cases.values() if case.is_stale]
    current = [case for case in cases.values() if not case.is_stale]
    if stale:
        if in_request:
            await single_changes.check_few_actions(connection, stale)
        await judging.judge_again(connection, stale)
    if current:
        await judging.judge_changes(connection, current)
    used = {
        period
        for case in cases.values()
        for verdict in case.verdicts
        for period in (verdict.action.own_period, verdict.action.billing_period)
    }
    await store_periods(connection, {policy.partner_id: policy}, {policy.partner_id: used})
    await verdicts.write(connection, list(cases.values()))
    return {row["id"] for row in rows}
