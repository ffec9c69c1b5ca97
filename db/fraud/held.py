"""Held actions, and what people decide about them: released for good, or confirmed and so returned (M4, R10)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import asyncpg

from billing.actions import HoldStatus
from db.core.unit_of_work import UnitOfWork
from db.ledger import many_changes
from db.ledger.many_changes import ManyChanges
from db.ledger.policies import Policies
from db.masters.partners import LATEST_ZONE


class Decision(StrEnum):
    """What becomes of a held action: it counts again, and fraud never holds it again; or it is returned."""

    RELEASE = "release"
    CONFIRM = "confirm"


_AFTER = {Decision.RELEASE: HoldStatus.COUNTED, Decision.CONFIRM: HoldStatus.RETURNED}
_AUDITED = {Decision.RELEASE: "action.released", Decision.CONFIRM: "action.returned"}


@dataclass(frozen=True, slots=True)
class HeldFilter:
    """Which held actions to list; None: any. `rule` also leaves out what a person held."""

    partner_id: UUID | None = None
    period: int | None = None
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A held action; rule, version, score and facts are None if a person held it."""

    action_id: UUID
    lead: str
    partner_id: UUID
    partner: str
    partner_name: str
    timezone: str
    product: str
    customer_id: UUID
    action_type: str
    engagement_level: str
    occurred_at: datetime
    billing_period: int
    currency: str
    value_minor: int
    reason: str | None
    rule: str | None
    version: int | None
    score: int | None
    facts: dict[str, Any] | None
    held_at: datetime | None


async def page(
    connection: asyncpg.Connection, only: HeldFilter, *, after: tuple[UUID, UUID] | None, limit: int
) -> list[Held]:
    """Held actions by partner and action, those after a place."""
    rows = await connection.fetch(
        f"""
        SELECT actions.id AS action_id, leads.external_id AS lead, actions.partner_id, partners.external_id AS partner,
            partners.name AS partner_name, ({LATEST_ZONE.format("actions.partner_id")}) AS timezone,
            products.external_id AS product, actions.customer_id, action_type, engagement_level, occurred_at,
            billing_period, currency, value_minor, standing_reason AS reason, rule, version, score, facts, held_at
        FROM actions JOIN leads ON leads.id = lead_id JOIN partners ON partners.id = actions.partner_id
        JOIN products ON products.id = actions.product_id
        LEFT JOIN fraud_holds ON action_id = actions.id AND fraud_holds.reason = standing_reason
        WHERE standing = 'held' AND ($1::uuid IS NULL OR actions.partner_id = $1)
            AND ($2::int IS NULL OR billing_period = $2) AND ($3::text IS NULL OR rule = $3)
            AND ($4::uuid IS NULL OR (actions.partner_id, actions.id) > ($4, $5::uuid))
        ORDER BY actions.partner_id, actions.id LIMIT $6
        """,  # noqa: S608 - a query of ours
        only.partner_id,
        only.period,
        only.rule,
        *(after or (None, None)),
        limit,
    )
    return [Held(**row) for row in rows]


@dataclass(frozen=True, slots=True)
class AtRisk:
    """What is held in one currency."""

    currency: str
    actions: int
    value_minor: int


_COUNTED = "SELECT currency, sum(held)::bigint AS actions, sum(held_minor)::bigint AS value_minor"
_OF_CURRENCIES = "GROUP BY currency HAVING sum(held) <> 0 ORDER BY currency"


async def at_risk(connection: asyncpg.Connection, only: HeldFilter) -> list[AtRisk]:
    """What all held actions of a filter are worth, by currency; those of a rule are added up, the others counted."""
    if only.rule is not None:
        rows = await connection.fetch(
            """
            SELECT currency, count(*) AS actions, sum(value_minor)::bigint AS value_minor
            FROM actions JOIN partners ON partners.id = partner_id
            JOIN fraud_holds ON action_id = actions.id AND fraud_holds.reason = standing_reason
            WHERE standing = 'held' AND ($1::uuid IS NULL OR actions.partner_id = $1)
                AND ($2::int IS NULL OR billing_period = $2) AND rule = $3
            GROUP BY currency ORDER BY currency
            """,
            only.partner_id,
            only.period,
            only.rule,
        )
    elif only.partner_id is None and only.period is None:
        rows = await connection.fetch(f"{_COUNTED} FROM currency_totals {_OF_CURRENCIES}")
    else:
        rows = await connection.fetch(
            f"""
            {_COUNTED} FROM product_periods JOIN partners ON partners.id = partner_id
            WHERE ($1::uuid IS NULL OR partner_id = $1) AND ($2::int IS NULL OR period = $2) {_OF_CURRENCIES}
            """,
            only.partner_id,
            only.period,
        )
    return [AtRisk(**row) for row in rows]


async def owners(connection: asyncpg.Connection, action_ids: Sequence[UUID]) -> dict[UUID, tuple[UUID, UUID]]:
    """The (partner, customer) of each action that exists."""
    rows = await connection.fetch(
        "SELECT id, partner_id, customer_id FROM actions WHERE id = ANY($1::uuid[])", action_ids
    )
    return {row["id"]: (row["partner_id"], row["customer_id"]) for row in rows}


async def decide(
    uow: UnitOfWork,
    policies: Policies,
    customer: tuple[UUID, UUID],
    action_ids: Sequence[UUID],
    decision: Decision,
    reason: str,
) -> set[UUID]:
    """Decide about held actions of one customer, who is judged again; returns which of them are decided so.

    Those that were decided so before are among them.
    """
    connection = uow.connection
    partner_id, customer_id = customer
    locked = await many_changes.lock(connection, policies, partner_id, [customer_id])
    changes = ManyChanges(dict.fromkeys(action_ids, reason), HoldStatus.HELD, _AFTER[decision])
    changed = await many_changes.change(connection, locked, changes, in_request=True)
    held = {"standing": HoldStatus.HELD, "outcome": HoldStatus.HELD}
    for action_id in sorted(changed):
        await uow.audit(_AUDITED[decision], action_id, before=held, after={"reason": reason})
    await connection.execute(
        "UPDATE fraud_holds SET decision = $2 WHERE action_id = ANY($1::uuid[])", list(changed), decision
    )
    rows = await connection.fetch(
        """
        SELECT action_id FROM fraud_holds JOIN actions ON actions.id = action_id
        WHERE action_id = ANY($1::uuid[]) AND decision = $2 AND standing = $3
        """,
        action_ids,
        decision,
        _AFTER[decision],
    )
    return changed | {row["action_id"] for row in rows}
