"""Holding, releasing and returning single actions (R10, R11)."""

from uuid import UUID

import asyncpg

from billing.actions import WINNING, HoldStatus, Outcome
from billing.errors import RuleViolation
from billing.periods import name_of_period
from billing.policy import Policy
from billing.texts import text_key
from db.core import locks
from db.core.row_keys import duplicate_key
from db.core.unit_of_work import UnitOfWork
from db.ledger import corrected, credit_lines, reevaluation, winners
from db.ledger.policies import Policies


async def hold(uow: UnitOfWork, policies: Policies, action_id: UUID, reason: str) -> None:
    """Hold an action: it neither holds its key nor uses the cap until it is released."""
    action, policy = await lock_action(uow.connection, policies, action_id)
    if not policy.is_open(action["billing_period"]):
        raise RuleViolation(f"{name_of_period(action['billing_period'])} is closed; its verdicts never change.")
    if action["standing"] == HoldStatus.RETURNED:
        raise RuleViolation("The action was returned; it cannot be held any more.")
    await _change_hold_status(uow.connection, policies, action, HoldStatus.HELD, reason)


async def release(uow: UnitOfWork, policies: Policies, action_id: UUID, reason: str) -> None:
    """Let a held action count again, or one that was returned in a period that is still open."""
    action, policy = await lock_action(uow.connection, policies, action_id)
    if action["standing"] == HoldStatus.RETURNED:
        await _check_can_take_back(uow.connection, action, policy)
    elif period := await credit_lines.period_of(uow.connection, action_id):
        raise RuleViolation(f"The action was credited in {name_of_period(period)}; a credit is not taken back.")
    elif action["standing"] != HoldStatus.HELD:
        raise RuleViolation("The action is not held or returned.")
    await _change_hold_status(uow.connection, policies, action, HoldStatus.COUNTED, reason)


async def return_action(uow: UnitOfWork, policies: Policies, action_id: UUID, reason: str) -> None:
    """Return an action: in an open period it is no longer billed; a frozen one gets one credit of what was billed."""
    connection = uow.connection
    action, policy = await lock_action(connection, policies, action_id)
    if await mark_returned(connection, action, policy, reason):
        await reevaluation.rejudge(connection, policies, [(action["partner_id"], action["customer_id"])])


async def mark_returned(connection: asyncpg.Connection, action: asyncpg.Record, policy: Policy, reason: str) -> bool:
    """Return a locked action, or book its credit if it is frozen; False if that was done before.

    The caller judges the customer again.
    """
    if action["standing"] == HoldStatus.RETURNED:
        return False
    if policy.is_open(action["billing_period"]):
        await _set_hold_status(connection, action["id"], HoldStatus.RETURNED, reason)
        return True
    if not await credit_lines.book(connection, action, policy.first_open, reason):
        return False
    if Outcome(action["outcome"]) in WINNING:
        await winners.release_keys(connection, _keys(action), action["id"], policy.first_open)
    return True


async def lock_action(
    connection: asyncpg.Connection, policies: Policies, action_id: UUID
) -> tuple[asyncpg.Record, Policy]:
    """Take the locks under which the customer's verdicts may change; returns the row of the action and the policy.

    Raises LookupError if there is no such action.
    """
    owner = await connection.fetchrow("SELECT partner_id, customer_id FROM actions WHERE id = $1", action_id)
    if owner is None:
        raise LookupError(action_id)
    await locks.lock_partners_shared(connection, [owner["partner_id"]])
    await locks.lock_customers(connection, [(owner["partner_id"], owner["customer_id"])])
    in_force = await policies.load(connection, [owner["partner_id"]])
    action = await connection.fetchrow("SELECT * FROM actions WHERE id = $1", action_id)
    assert action is not None
    return action, in_force[owner["partner_id"]]


def _keys(action: asyncpg.Record) -> set[UUID]:
    """The duplicate key of a frozen action, and the one it would have by today's rules of texts (R1)."""
    type_key, level_key = text_key(action["action_type"]), text_key(action["engagement_level"])
    customer = action["partner_id"], action["customer_id"]
    return {action["duplicate_key"], duplicate_key(*customer, action["product_id"], type_key, level_key)}


async def _check_can_take_back(connection: asyncpg.Connection, action: asyncpg.Record, policy: Policy) -> None:
    """Raise RuleViolation with the reason if a returned action cannot count again."""
    if right_id := await corrected.by(connection, action["id"]):
        raise RuleViolation(f"The action was corrected: action {right_id} stands for it.")
    if not policy.is_open(action["billing_period"]):
        raise RuleViolation(f"{name_of_period(action['billing_period'])} is closed; its verdicts never change.")


async def _change_hold_status(
    connection: asyncpg.Connection, policies: Policies, action: asyncpg.Record, hold_status: HoldStatus, reason: str
) -> None:
    if action["standing"] == hold_status:
        return
    await _set_hold_status(connection, action["id"], hold_status, reason)
    await reevaluation.rejudge(connection, policies, [(action["partner_id"], action["customer_id"])])


async def _set_hold_status(
    connection: asyncpg.Connection, action_id: UUID, hold_status: HoldStatus, reason: str
) -> None:
    await connection.execute(
        "UPDATE actions SET standing = $2, standing_reason = $3 WHERE id = $1", action_id, hold_status, reason
    )
