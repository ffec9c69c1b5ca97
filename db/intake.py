"""Taking leads in: which are new, known or in conflict, and which of their actions are new (R1, R3, R12)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from billing.actions import Action
from billing.identity import customer_uuid, duplicate_key, product_uuid
from billing.leads import Lead, LeadAction, identified
from billing.policy import Policy
from db.judge import Case
from db.ledger import Customer


@dataclass(slots=True)
class Arrival:
    """One lead of a batch and what became of it."""

    lead: Lead
    received_at: datetime
    id: UUID = field(init=False)
    product_id: UUID = field(init=False)
    customer_id: UUID = field(init=False)
    partner_id: UUID | None = None
    problem: str | None = None
    detail: str = ""
    is_new: bool = False
    new_actions: list[UUID] = field(default_factory=list)
    replayed: int = 0

    def __post_init__(self) -> None:
        self.id = self.lead.id
        self.product_id = product_uuid(self.lead.product)
        self.customer_id = customer_uuid(self.lead.customer)

    @property
    def customer(self) -> Customer:
        """Whose verdicts the lead touches; only for a lead without a problem."""
        assert self.partner_id is not None
        return self.partner_id, self.customer_id

    def refuse(self, problem: str, detail: str) -> None:
        """Set the lead aside, with the reason a person reads."""
        self.problem, self.detail = problem, detail


async def place(
    connection: asyncpg.Connection, arrivals: Sequence[Arrival], people: Mapping[UUID, UUID]
) -> list[Arrival]:
    """Find the partner and the person of each lead; returns the leads that have both, the others get their problem.

    `people` gives the person behind each customer id.
    """
    partners = {
        row["id"]: row["partner_id"]
        for row in await connection.fetch(
            "SELECT id, partner_id FROM products WHERE id = ANY($1::uuid[])",
            list({arrival.product_id for arrival in arrivals}),
        )
    }
    placed = []
    for arrival in arrivals:
        if arrival.product_id not in partners:
            arrival.refuse("unknown_product", f"No product {arrival.lead.product!r} is known.")
        elif arrival.customer_id not in people:
            arrival.refuse("unknown_customer", f"No customer {arrival.lead.customer!r} is known.")
        else:
            arrival.partner_id = partners[arrival.product_id]
            arrival.customer_id = people[arrival.customer_id]
            placed.append(arrival)
    return placed


@dataclass(slots=True)
class KnownLead:
    """A lead on record: what it may not contradict, its actions and the billing periods they lie in."""

    customer_id: UUID
    product_id: UUID
    lead_type_key: str
    actions: set[UUID] = field(default_factory=set)
    periods: set[int] = field(default_factory=set)


async def known_leads(connection: asyncpg.Connection, ids: Iterable[UUID]) -> dict[UUID, KnownLead]:
    """The leads that are on record among `ids`, with their actions."""
    rows = await connection.fetch(
        "SELECT id, customer_id, product_id, lead_type FROM leads WHERE id = ANY($1::uuid[])", list(set(ids))
    )
    known = {row["id"]: KnownLead(row["customer_id"], row["product_id"], row["lead_type"].casefold()) for row in rows}
    if known:
        for row in await connection.fetch(
            "SELECT id, lead_id, billing_period FROM actions WHERE lead_id = ANY($1::uuid[])", list(known)
        ):
            lead = known[row["lead_id"]]
            lead.actions.add(row["id"])
            lead.periods.add(row["billing_period"])
    return known


async def add_leads(connection: asyncpg.Connection, arrivals: Iterable[Arrival]) -> set[UUID]:
    """Store new leads, in ascending id order (see `db.locks`); returns the ids that are now taken by others."""
    ordered = sorted(arrivals, key=lambda arrival: arrival.id)
    if not ordered:
        return set()
    rows = await connection.fetch(
        """
        INSERT INTO leads
            (id, source, external_id, partner_id, product_id, customer_id, lead_type, created_at, received_at)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[],
            $8::timestamptz[], $9::timestamptz[])
        ON CONFLICT DO NOTHING RETURNING id
        """,
        [arrival.id for arrival in ordered],
        [arrival.lead.source for arrival in ordered],
        [arrival.lead.external_id for arrival in ordered],
        [arrival.partner_id for arrival in ordered],
        [arrival.product_id for arrival in ordered],
        [arrival.customer_id for arrival in ordered],
        [arrival.lead.lead_type for arrival in ordered],
        [arrival.lead.created_at or arrival.received_at for arrival in ordered],
        [arrival.received_at for arrival in ordered],
    )
    return {arrival.id for arrival in ordered} - {row["id"] for row in rows}


def merge(arrivals: Iterable[Arrival], known: Mapping[UUID, KnownLead]) -> list[Arrival]:
    """Compare leads with what is on record and with each other, in the order given; returns the first of each new lead.

    The first one stored stands: a lead that contradicts it is a conflict (R3).
    """
    leads = dict(known)
    first = []
    for arrival in arrivals:
        stored = leads.get(arrival.id)
        type_key = arrival.lead.lead_type.casefold()
        if stored is None:
            leads[arrival.id] = KnownLead(arrival.customer_id, arrival.product_id, type_key)
            arrival.is_new = True
            first.append(arrival)
        elif (stored.customer_id, stored.product_id, stored.lead_type_key) != (
            arrival.customer_id,
            arrival.product_id,
            type_key,
        ):
            arrival.refuse("conflict", _conflict(arrival, stored, type_key))
    return first


def contradict(arrivals: Iterable[Arrival], known: Mapping[UUID, KnownLead]) -> None:
    """A known lead that comes again with an unknown product or another type is a conflict, not merely unknown (R3)."""
    for arrival in arrivals:
        stored = known.get(arrival.id)
        type_key = arrival.lead.lead_type.casefold()
        if stored and (stored.product_id, stored.lead_type_key) != (arrival.product_id, type_key):
            arrival.refuse("conflict", _conflict(arrival, stored, type_key))


def open_cases(
    arrivals: Iterable[Arrival], known: Mapping[UUID, KnownLead], policies: Mapping[UUID, Policy]
) -> dict[Customer, Case]:
    """One case per customer with new actions, each priced by its own instant and given its billing period."""
    cases: dict[Customer, Case] = {}
    seen: dict[UUID, set[UUID]] = defaultdict(set)
    for arrival in arrivals:
        stored = known.get(arrival.id)
        for action_id, sent, occurrence in identified(arrival.id, arrival.lead.actions):
            if action_id in seen[arrival.id] or (stored and action_id in stored.actions):
                arrival.replayed += 1
                continue
            seen[arrival.id].add(action_id)
            arrival.new_actions.append(action_id)
            case = cases.get(arrival.customer)
            if case is None:
                case = cases[arrival.customer] = Case(arrival.customer, policies[arrival.customer[0]])
            case.new.append(_action(arrival, action_id, sent, occurrence, case.policy))
            if stored:
                case.lead_periods |= {(arrival.id, period) for period in stored.periods}
    return cases


def _action(arrival: Arrival, action_id: UUID, sent: LeadAction, occurrence: int, policy: Policy) -> Action:
    type_key, level_key = sent.action_type.casefold(), sent.engagement_level.casefold()
    rate = policy.card.price(
        arrival.product_id, arrival.lead.lead_type.casefold(), type_key, level_key, sent.occurred_at
    )
    own_period = policy.calendar.period_of(sent.occurred_at)
    return Action(
        id=action_id,
        lead_id=arrival.id,
        product_id=arrival.product_id,
        action_type=sent.action_type,
        action_type_key=type_key,
        engagement_level=sent.engagement_level,
        level_key=level_key,
        occurred_at=sent.occurred_at,
        occurrence=occurrence,
        key=duplicate_key(policy.partner_id, arrival.customer_id, arrival.product_id, type_key, level_key),
        own_period=own_period,
        billing_period=policy.billing_period(own_period),
        value_minor=rate.amount_minor,
        rate_rule_id=rate.rule_id,
    )


def _conflict(arrival: Arrival, stored: KnownLead, type_key: str) -> str:
    differing = [
        name
        for name, differs in (
            ("customer", stored.customer_id != arrival.customer_id),
            ("product", stored.product_id != arrival.product_id),
            ("lead type", stored.lead_type_key != type_key),
        )
        if differs
    ]
    return f"Lead {arrival.lead.external_id!r} is known with another {' and '.join(differing)}; the first one stands."


def batch_result(arrivals: Sequence[Arrival], outcomes: Mapping[UUID, str]) -> dict[str, Any]:
    """A chunk's part of its batch's status: leads and actions counted by what became of them, and the problems.

    `outcomes` gives the outcome of each action decided now.
    """
    leads: dict[str, int] = defaultdict(int)
    actions: dict[str, int] = defaultdict(int)
    for arrival in arrivals:
        if arrival.problem:
            leads["quarantined"] += 1
            actions["quarantined"] += len(arrival.lead.actions)
            continue
        leads["new" if arrival.is_new else "extended" if arrival.new_actions else "replayed"] += 1
        actions["replayed"] += arrival.replayed
        for action_id in arrival.new_actions:
            actions[outcomes[action_id]] += 1
    problems = [
        {
            "index": arrival.lead.index,
            "lead_id": arrival.lead.external_id,
            "reason": arrival.problem,
            "detail": arrival.detail,
        }
        for arrival in arrivals
        if arrival.problem
    ]
    return {"leads": leads, "actions": actions, "problems": problems}
