"""Correcting a wrong action (R3): the old one is returned and the right one judged, in one transaction."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.actions import Action, HoldStatus
from billing.errors import RuleViolation
from billing.identity import microseconds
from billing.policy import Policy
from billing.texts import text_key
from db.core.row_keys import ROW_KEYS, duplicate_key
from db.core.unit_of_work import UnitOfWork
from db.ledger import correction_links, credit_lines, holds, single_changes
from db.ledger.policies import Policies


@dataclass(frozen=True, slots=True)
class Correction:
    """What is right about an action; None: as it was."""

    action_type: str | None = None
    engagement_level: str | None = None
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Content:
    """What an action says."""

    action_type: str
    engagement_level: str
    occurred_at: datetime

    @property
    def key(self) -> tuple[str, str, datetime]:
        """Equal if the texts compare equal."""
        return text_key(self.action_type), text_key(self.engagement_level), self.occurred_at


async def correct(uow: UnitOfWork, policies: Policies, action_id: UUID, correction: Correction, reason: str) -> UUID:
    """Return the wrong action and judge the right one; returns the id of the right one, also when repeated.

    The right one has the identity that it would have had if it had been sent so, and a lead that comes again with it
    is a replay. If the lead has it already, because it came again before, that action is the right one. Raises
    LookupError if there is no such action, RuleViolation if it cannot be corrected.
    """
    connection = uow.connection
    locked = await single_changes.lock_action(connection, policies, action_id)
    wrong, policy = locked.row, locked.policy
    right = _Content(
        correction.action_type or wrong["action_type"],
        correction.engagement_level or wrong["engagement_level"],
        correction.occurred_at or wrong["occurred_at"],
    )
    if (before := await correction_links.by(connection, action_id)) is not None:
        return await _corrected_before(connection, before, right)
    if right.key == _content_from_row(wrong).key:
        raise RuleViolation("The action is like that already; nothing would change.")
    if wrong["standing"] == HoldStatus.RETURNED or await credit_lines.period_of(connection, action_id):
        raise RuleViolation("The action was returned; there is nothing left to correct.")
    same = await _same_actions(connection, wrong["lead_id"], right)
    stored = next((each["id"] for each in same if each["stands"]), None)
    occurrence = sum(not each["has_own_id"] for each in same)
    new = [] if stored else [await _right_action(connection, policy, wrong, right, occurrence)]
    right_id = stored or new[0].id
    change = await holds.mark_returned(connection, locked, reason)
    assert change is not None
    change.new = new
    await single_changes.judge(connection, locked, change)
    if new and new[0].hold_status is HoldStatus.HELD:
        await connection.execute(
            "UPDATE actions SET standing_reason = $2 WHERE id = $1", right_id, wrong["standing_reason"]
        )
    await correction_links.add(connection, wrong, right_id, reason)
    facts = {"right_id": right_id, "reason": reason}
    await uow.audit("action.corrected", action_id, before=holds.standing_of(locked), after=facts)
    return right_id


async def _corrected_before(connection: asyncpg.Connection, right_id: UUID, wanted: _Content) -> UUID:
    """The right action if it says what is asked for now."""
    stored = await connection.fetchrow(
        "SELECT action_type, engagement_level, occurred_at FROM actions WHERE id = $1", right_id
    )
    assert stored is not None
    if _content_from_row(stored).key != wanted.key:
        raise RuleViolation(f"The action was corrected before: action {right_id} stands for it. Correct that one.")
    return right_id


async def _same_actions(connection: asyncpg.Connection, lead_id: UUID, content: _Content) -> list[asyncpg.Record]:
    """The lead's actions with a content, and whether each could stand for another: it counts, and does so for none."""
    rows = await connection.fetch(
        """
        SELECT id, action_type, engagement_level, occurred_at,
               standing <> 'returned' AND NOT EXISTS (SELECT FROM corrections WHERE right_id = actions.id)
                   AND NOT EXISTS (SELECT FROM credits WHERE action_id = actions.id) AS stands,
               EXISTS (SELECT FROM action_external_ids WHERE action_id = actions.id) AS has_own_id
        FROM actions WHERE lead_id = $1 AND occurred_at = $2 ORDER BY occurrence, id
        """,
        lead_id,
        content.occurred_at,
    )
    return [row for row in rows if _content_from_row(row).key == content.key]


async def _right_action(
    connection: asyncpg.Connection, policy: Policy, wrong: asyncpg.Record, right: _Content, occurrence: int
) -> Action:
    """The right action, priced by its own instant; it is held if the wrong one is."""
    lead_type = await connection.fetchval("SELECT lead_type FROM leads WHERE id = $1", wrong["lead_id"])
    type_key, level_key, occurred_at = right.key
    product_id = wrong["product_id"]
    rate = policy.card.price(product_id, text_key(lead_type), type_key, level_key, occurred_at)
    own_period = policy.calendar.period_of(occurred_at)
    return Action(
        id=ROW_KEYS.action(wrong["lead_id"], type_key, level_key, microseconds(occurred_at), occurrence),
        lead_id=wrong["lead_id"],
        product_id=product_id,
        action_type=right.action_type,
        action_type_key=type_key,
        engagement_level=right.engagement_level,
        level_key=level_key,
        occurred_at=occurred_at,
        occurrence=occurrence,
        key=duplicate_key(wrong["partner_id"], wrong["customer_id"], product_id, type_key, level_key),
        own_period=own_period,
        billing_period=policy.billing_period(own_period),
        value_minor=rate.amount_minor,
        rate_rule_id=rate.rule_id,
        hold_status=HoldStatus(wrong["standing"]),
    )


def _content_from_row(row: asyncpg.Record) -> _Content:
    return _Content(row["action_type"], row["engagement_level"], row["occurred_at"])
