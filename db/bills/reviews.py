"""The review of a bill (B5): approvals asked and given, who made the bill, and who could approve it."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from billing.bills.approvals import Approval, Review, places_asked
from billing.bills.callers import Caller
from billing.contracts.billing_terms import BillingTerms
from billing.contracts.preferences import Approver, AskedApproval
from billing.roles import Role
from db.account import booking
from db.bills import adjustments
from db.bills.records import BillHead
from db.contracts import reading, usage
from db.core.actor import Actor, ActorKind


async def read(connection: asyncpg.Connection, head: BillHead) -> Review:
    """The approvals of a bill, and its makers."""
    rows = await connection.fetch("SELECT user_id, place FROM bill_approvals WHERE bill_id = $1 ORDER BY at", head.id)
    given = tuple(Approval(row["user_id"], Approver(row["place"]) if row["place"] else None) for row in rows)
    return Review(head.asked, given, frozenset(await _makers(connection, head)))


async def write(connection: asyncpg.Connection, bill_id: UUID, before: Review, after: Review) -> None:
    """Store which approvals came and went."""
    await connection.execute(
        "DELETE FROM bill_approvals WHERE bill_id = $1 AND user_id = ANY($2::uuid[])",
        bill_id,
        [given.person for given in before.given if given not in after.given],
    )
    new = [given for given in after.given if given not in before.given]
    await connection.executemany(
        "INSERT INTO bill_approvals (bill_id, user_id, place) VALUES ($1, $2, $3)",
        [(bill_id, given.person, given.place) for given in new],
    )


async def terms_of_today(connection: asyncpg.Connection, partner_id: UUID, now: datetime | None = None) -> BillingTerms:
    """The terms that say who approves: those of the period where the partner is today, not of the bill's (B5)."""
    return (await terms_of_today_of(connection, [partner_id], now))[partner_id]


async def terms_of_today_of(
    connection: asyncpg.Connection, partner_ids: Iterable[UUID], now: datetime | None = None
) -> dict[UUID, BillingTerms]:
    """The same of each partner."""
    days = await booking.days_at(connection, set(partner_ids), now or datetime.now(UTC))
    partners_in: dict[int, list[UUID]] = defaultdict(list)
    for partner_id, day in days.items():
        partners_in[day.year * 100 + day.month].append(partner_id)
    found: dict[UUID, BillingTerms] = {}
    for period, those in partners_in.items():
        contracts = await reading.read_many(connection, those, period)
        found |= {partner_id: contract.terms for partner_id, contract in contracts.items()}
    return found


def asked_by(terms: BillingTerms, gross_minor: int) -> tuple[Approver, ...]:
    """The approvals that terms ask for an amount."""
    asked = terms.preferences.approvals
    return places_asked(
        None if asked is None else [AskedApproval(Approver(each.by), each.above_minor) for each in asked],
        terms.require_csm_approval,
        gross_minor,
    )


async def caller(
    connection: asyncpg.Connection, actor: Actor, person: UUID | None, role: Role | None, head: BillHead
) -> Caller:
    """Who asks for a move of a bill; `person` is who is signed in, or who made the key."""
    if actor.kind is ActorKind.SYSTEM:
        return Caller("system")
    if actor.kind is ActorKind.KEY:
        return Caller("key", person, role)
    return Caller("user", person, role, person in await _standing_in(connection, head.csm_id))


async def active_people(connection: asyncpg.Connection, csm_id: UUID | None) -> list[Caller]:
    """Everybody active who might approve, as callers; `csm_id` is the partner's CSM of today.

    Of Finance it is only whom the CSM has named as deputy.
    """
    standing_in = await _standing_in(connection, csm_id)
    rows = await connection.fetch(
        """
        SELECT id, role FROM users
        WHERE deactivated_at IS NULL
            AND (role IN ('admin', 'customer_success', 'sales') OR (role = 'finance' AND id = ANY($1::uuid[])))
        """,
        list(standing_in),
    )
    return [Caller("user", row["id"], Role(row["role"]), row["id"] in standing_in) for row in rows]


async def names(connection: asyncpg.Connection, people: Iterable[UUID]) -> dict[UUID, str]:
    """The names of people by key."""
    rows = await connection.fetch("SELECT id, name FROM users WHERE id = ANY($1::uuid[])", list(people))
    return {row["id"]: row["name"] for row in rows}


async def _standing_in(connection: asyncpg.Connection, csm_id: UUID | None) -> set[UUID]:
    """The CSM and the deputy whom they named for now."""
    if csm_id is None:
        return set()
    deputy = await connection.fetchval(
        "SELECT deputy_id FROM deputies WHERE user_id = $1 AND until > clock_timestamp()", csm_id
    )
    return {csm_id, deputy} if deputy else {csm_id}


async def _makers(connection: asyncpg.Connection, head: BillHead) -> set[UUID]:
    """Who ever created, refreshed, adjusted or submitted a bill or entered its usage; a key stands for its maker."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT who_kind, who_id FROM bill_actions
        WHERE bill_id = $1 AND move IN ('create', 'refresh', 'adjust', 'submit')
        """,
        head.id,
    )
    acted = {(row["who_kind"], row["who_id"]) for row in rows}
    month = [head.partner_id], [head.period]
    entered = await usage.makers(connection, *month) + await adjustments.makers(connection, *month)
    acted |= {(actor.kind.value, actor.id) for _, _, actor in entered}
    keys = await connection.fetch(
        "SELECT key_id, user_id FROM key_makers WHERE key_id = ANY($1::uuid[])",
        [who_id for kind, who_id in acted if kind == ActorKind.KEY],
    )
    people = {row["key_id"]: row["user_id"] for row in keys}
    makers = (people.get(who_id) if kind == ActorKind.KEY else who_id for kind, who_id in acted)
    return {person for person in makers if person is not None}
