"""Holding, releasing and returning single actions (R10, R11)."""

from uuid import UUID

import asyncpg

from billing.actions import WINNING, HoldStatus, Outcome
from billing.errors import RuleViolation
from billing.periods import name_of_period
from billing.texts import text_key
from db.contracts import billing_settings
from db.core.row_keys import duplicate_key
from db.core.unit_of_work import UnitOfWork
from db.ledger import correction_links, credit_lines, single_changes, winners
from db.ledger.policies import Policies
from db.ledger.single_changes import Change, LockedAction


async def hold(uow: UnitOfWork, policies: Policies, action_id: UUID, reason: str) -> None:
    """Hold an action: it neither holds its key nor uses the cap until it is released."""
    locked = await single_changes.lock_action(uow.connection, policies, action_id)
    _check_open(locked)
    if locked.row["standing"] == HoldStatus.RETURNED:
        raise RuleViolation("The action was returned; it cannot be held any more.")
    await _change_hold_status(uow, locked, HoldStatus.HELD, reason)


async def release(uow: UnitOfWork, policies: Policies, action_id: UUID, reason: str) -> None:
    """Let a held action count again, or one that was returned in a period that is still open."""
    connection = uow.connection
    locked = await single_changes.lock_action(connection, policies, action_id)
    if locked.row["standing"] == HoldStatus.RETURNED:
        if right_id := await correction_links.by(connection, action_id):
            raise RuleViolation(f"The action was corrected: action {right_id} stands for it.")
        _check_open(locked)
    elif period := await credit_lines.period_of(connection, action_id):
        raise RuleViolation(f"The action was credited in {name_of_period(period)}; a credit is not taken back.")
    elif locked.row["standing"] != HoldStatus.HELD:
        raise RuleViolation("The action is not held or returned.")
    await _change_hold_status(uow, locked, HoldStatus.COUNTED, reason)


async def return_action(uow: UnitOfWork, policies: Policies, action_id: UUID, reason: str) -> None:
    """Return an action: in an open period it is no longer billed; a frozen one gets one credit of what was billed."""
    locked = await single_changes.lock_action(uow.connection, policies, action_id)
    change = await mark_returned(uow.connection, locked, reason)
    if change is not None:
        await uow.audit("action.returned", action_id, before=standing_of(locked), after={"reason": reason})
        await single_changes.judge(uow.connection, locked, change)


async def mark_returned(connection: asyncpg.Connection, locked: LockedAction, reason: str) -> Change | None:
    """Return a locked action, or book its credit if it is frozen; None if that was done before.

    The caller judges what it changes.
    """
    action, policy = locked.row, locked.policy
    if action["standing"] == HoldStatus.RETURNED:
        return None
    if policy.is_open(action["billing_period"]):
        await _set_hold_status(connection, action["id"], HoldStatus.RETURNED, reason)
        return Change([action["id"]])
    await _check_billed(connection, action)
    if not await credit_lines.book(connection, action, policy.first_open, reason):
        return None
    change = Change(credited_from=policy.first_open)
    if Outcome(action["outcome"]) in WINNING:
        change.released_keys = _keys(action)
        await winners.release_keys(connection, change.released_keys, action["id"], policy.first_open)
    return change


def _keys(action: asyncpg.Record) -> set[UUID]:
    """The duplicate key of a frozen action, and the one it would have by today's rules of texts (R1)."""
    type_key, level_key = text_key(action["action_type"]), text_key(action["engagement_level"])
    customer = action["partner_id"], action["customer_id"]
    return {action["duplicate_key"], duplicate_key(*customer, action["product_id"], type_key, level_key)}


def _check_open(locked: LockedAction) -> None:
    if not locked.policy.is_open(locked.row["billing_period"]):
        raise RuleViolation(f"{name_of_period(locked.row['billing_period'])} is closed; its verdicts never change.")


async def _check_billed(connection: asyncpg.Connection, action: asyncpg.Record) -> None:
    """RuleViolation for a frozen action of a period that has no bill, so that there is nothing to credit (B1)."""
    first, period = (
        await billing_settings.first_billed_period(connection, action["partner_id"]),
        action["billing_period"],
    )
    if first is not None and period < first:
        raise RuleViolation(
            f"{name_of_period(period)} has no bill, because bills begin with {name_of_period(first)}: "
            "nothing of it can be credited."
        )


def standing_of(locked: LockedAction) -> dict[str, str]:
    """What the audit says of an action before it changes."""
    return {"standing": locked.row["standing"], "outcome": locked.row["outcome"]}


async def _change_hold_status(uow: UnitOfWork, locked: LockedAction, hold_status: HoldStatus, reason: str) -> None:
    if locked.row["standing"] == hold_status:
        return
    what = "action.held" if hold_status is HoldStatus.HELD else "action.released"
    await uow.audit(what, locked.row["id"], before=standing_of(locked), after={"reason": reason})
    await _set_hold_status(uow.connection, locked.row["id"], hold_status, reason)
    await single_changes.judge(uow.connection, locked, Change([locked.row["id"]]))


async def _set_hold_status(
    connection: asyncpg.Connection, action_id: UUID, hold_status: HoldStatus, reason: str
) -> None:
    await connection.execute(
        "UPDATE actions SET standing = $2, standing_reason = $3 WHERE id = $1", action_id, hold_status, reason
    )
