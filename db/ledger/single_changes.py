"""Judging a customer after a change of single actions: what it can change, however many actions there are."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from billing.actions import Action
from billing.policy import Policy
from db.core import locks
from db.core.errors import BeingReevaluated
from db.ledger import judging, reading, verdicts
from db.ledger.case import Case, Customer
from db.ledger.periods import store_periods
from db.ledger.policies import Policies

MOST_ACTIONS_AT_ONCE = 1_000
"""Where verdicts follow older terms, a request judges so many again; more of them are left to a task."""


@dataclass(frozen=True, slots=True)
class LockedAction:
    """A row of actions whose customer is locked, and by which policy the customer is and was judged."""

    row: asyncpg.Record
    policy: Policy
    judged_by: int

    @property
    def customer(self) -> Customer:
        """Whose verdicts may change."""
        return self.row["partner_id"], self.row["customer_id"]


@dataclass(slots=True)
class Change:
    """What changed: hold statuses on record, new actions, and what the return of a frozen action gave back."""

    action_ids: list[UUID] = field(default_factory=list)
    new: list[Action] = field(default_factory=list)
    released_keys: set[UUID] = field(default_factory=set)
    credited_from: int | None = None


async def lock_action(connection: asyncpg.Connection, policies: Policies, action_id: UUID) -> LockedAction:
    """Take the locks under which the verdicts of an action's customer may change.

    Raises LookupError if there is no such action.
    """
    owner = await connection.fetchrow("SELECT partner_id, customer_id FROM actions WHERE id = $1", action_id)
    if owner is None:
        raise LookupError(action_id)
    partner_id, customer_id = owner
    judged_by = await locks.lock_customer_of_partner(connection, partner_id, customer_id)
    in_force = await policies.load(connection, [partner_id])
    row = await connection.fetchrow("SELECT * FROM actions WHERE id = $1", action_id)
    assert row is not None
    return LockedAction(row, in_force[partner_id], judged_by)


async def judge(connection: asyncpg.Connection, locked: LockedAction, change: Change) -> None:
    """Judge what a change can change, and write what differs. The hold statuses on record are the new ones."""
    case = Case(locked.customer, locked.policy, locked.judged_by, change.new)
    if case.follows_other_terms:
        await check_few_actions(connection, [case])
        await judging.judge_again(connection, [case])
    else:
        rows = await reading.verdicts_of_actions(connection, change.action_ids) if change.action_ids else []
        case.recorded = {row["id"]: reading.verdict_from_row(row) for row in rows}
        case.released_keys, case.credited_from = change.released_keys, change.credited_from
        case.lead_periods = await _lead_periods(connection, change.new)
        await judging.judge_changes(connection, [case])
    partner_id = locked.policy.partner_id
    used = {verdict.action.own_period for verdict in case.verdicts}
    used |= {verdict.action.billing_period for verdict in case.verdicts}
    await store_periods(connection, {partner_id: locked.policy}, {partner_id: used})
    await verdicts.write(connection, [case])


async def check_few_actions(connection: asyncpg.Connection, cases: Sequence[Case]) -> None:
    """Raise BeingReevaluated if customers have too many open actions for a request to judge all of them again."""
    actions = await connection.fetchval(
        """
        SELECT coalesce(sum(actions), 0) FROM unnest($1::uuid[], $2::uuid[], $3::int[])
            AS wanted (partner_id, customer_id, first_open)
        JOIN customer_periods USING (partner_id, customer_id) WHERE period >= first_open
        """,
        [case.customer[0] for case in cases],
        [case.customer[1] for case in cases],
        [case.policy.first_open for case in cases],
    )
    if actions > MOST_ACTIONS_AT_ONCE:
        raise BeingReevaluated


async def _lead_periods(connection: asyncpg.Connection, new: Sequence[Action]) -> set[tuple[UUID, int]]:
    """The (lead, billing period) pairs on record of leads that get new actions."""
    if not new:
        return set()
    rows = await connection.fetch(
        "SELECT DISTINCT lead_id, billing_period FROM actions WHERE lead_id = ANY($1::uuid[])",
        list({action.lead_id for action in new}),
    )
    return {(row["lead_id"], row["billing_period"]) for row in rows}
