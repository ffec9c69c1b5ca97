"""Taking leads in: which are new, known or in conflict, and which of their actions are new (R1, R3, R12)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

import asyncpg

from billing.actions import Action, Outcome
from billing.leads import IdentifiedAction, Lead, identified
from billing.policy import Policy
from db.core.row_keys import ROW_KEYS, customer_uuid, duplicate_key, lead_uuid, product_uuid
from db.ledger.judging import Case
from db.ledger.reading import Customer

_LEAD_COLUMNS = [
    "id",
    "source",
    "external_id",
    "partner_id",
    "product_id",
    "customer_id",
    "lead_type",
    "created_at",
    "received_at",
]
_arrival_id = attrgetter("id")


@dataclass(slots=True)
class Arrival:
    """One lead of a batch and what became of it.

    `customer` is whose verdicts the lead touches; it is known once the lead has been placed.
    """

    lead: Lead
    received_at: datetime
    id: UUID = field(init=False)
    product_id: UUID = field(init=False)
    customer_id: UUID = field(init=False)
    lead_type_key: str = field(init=False)
    customer: Customer = field(init=False)
    problem: str | None = None
    detail: str = ""
    is_new: bool = False
    new_actions: list[Action] = field(default_factory=list)
    replayed: int = 0

    def __post_init__(self) -> None:
        self.id = lead_uuid(self.lead.source, self.lead.external_id)
        self.product_id = product_uuid(self.lead.product)
        self.customer_id = customer_uuid(self.lead.customer)
        self.lead_type_key = self.lead.lead_type.casefold()

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
            arrival.customer_id = people[arrival.customer_id]
            arrival.customer = (partners[arrival.product_id], arrival.customer_id)
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


async def add_leads(connection: asyncpg.Connection, arrivals: Iterable[Arrival]) -> None:
    """Store new leads, in ascending id order (see `db.core.locks`).

    Raises SerializationError if another batch stored one of them meanwhile: tried again, this one will know it.
    """
    ordered = sorted(arrivals, key=_arrival_id)
    if not ordered:
        return
    try:
        await connection.copy_records_to_table("leads", records=map(_lead_row, ordered), columns=_LEAD_COLUMNS)
    except asyncpg.UniqueViolationError as error:
        raise asyncpg.SerializationError("another batch stored one of these leads meanwhile") from error


def _lead_row(arrival: Arrival) -> tuple[object, ...]:
    lead = arrival.lead
    return (
        arrival.id,
        lead.source,
        lead.external_id,
        arrival.customer[0],
        arrival.product_id,
        arrival.customer_id,
        lead.lead_type,
        lead.created_at or arrival.received_at,
        arrival.received_at,
    )


def merge(arrivals: Iterable[Arrival], known: Mapping[UUID, KnownLead]) -> list[Arrival]:
    """Compare leads with what is on record and with each other, in the order given; returns the first of each new lead.

    The first one stored stands: a lead that contradicts it is a conflict (R3).
    """
    leads: dict[UUID, KnownLead | Arrival] = dict(known)
    first = []
    for arrival in arrivals:
        stored = leads.setdefault(arrival.id, arrival)
        if stored is arrival:
            arrival.is_new = True
            first.append(arrival)
        elif differing := _differing(arrival, stored):
            arrival.refuse("conflict", _conflict(arrival, differing))
    return first


def detect_conflicts(arrivals: Iterable[Arrival], known: Mapping[UUID, KnownLead]) -> None:
    """A known lead that comes again with an unknown product or another type is a conflict, not merely unknown (R3)."""
    for arrival in arrivals:
        stored = known.get(arrival.id)
        # Whoever is not known yet has no person to compare.
        differing = [name for name in _differing(arrival, stored) if name != "customer"] if stored else []
        if differing:
            arrival.refuse("conflict", _conflict(arrival, differing))


def open_cases(
    arrivals: Iterable[Arrival], known: Mapping[UUID, KnownLead], policies: Mapping[UUID, Policy]
) -> dict[Customer, Case]:
    """One case per customer with new actions, each priced by its own instant and given its billing period."""
    cases: dict[Customer, Case] = {}
    stored_actions = {lead_id: lead.actions for lead_id, lead in known.items()}
    for arrival in arrivals:
        sent = identified(ROW_KEYS, arrival.id, arrival.lead.actions)
        stored = stored_actions.setdefault(arrival.id, set())
        new = [action for action in sent if action.id not in stored] if stored else sent
        stored.update([action.id for action in new])
        arrival.replayed = len(sent) - len(new)
        if not new:
            continue
        customer = arrival.customer
        case = cases.get(customer)
        if case is None:
            case = cases[customer] = Case(customer, policies[customer[0]])
        arrival.new_actions = [_action(arrival, action, case.policy) for action in new]
        case.new += arrival.new_actions
        if arrival.id in known:
            case.lead_periods |= {(arrival.id, period) for period in known[arrival.id].periods}
    return cases


def _action(arrival: Arrival, identity: IdentifiedAction, policy: Policy) -> Action:
    action_id, sent, type_key, level_key, occurrence = identity
    partner_id, customer_id = arrival.customer
    product_id, occurred_at = arrival.product_id, sent.occurred_at
    rate_rule_id, value_minor = policy.card.price(product_id, arrival.lead_type_key, type_key, level_key, occurred_at)
    own_period = policy.calendar.period_of(occurred_at)
    # By place, because names cost as much again, and this is done for every action there ever is.
    return Action(
        action_id,
        arrival.id,
        product_id,
        sent.action_type,
        type_key,
        sent.engagement_level,
        level_key,
        occurred_at,
        occurrence,
        duplicate_key(partner_id, customer_id, product_id, type_key, level_key),
        own_period,
        policy.billing_period(own_period),
        value_minor,
        rate_rule_id,
    )


def _differing(arrival: Arrival, stored: KnownLead | Arrival) -> list[str]:
    """In what a lead contradicts the one that is stored."""
    if (
        stored.product_id == arrival.product_id
        and stored.customer_id == arrival.customer_id
        and stored.lead_type_key == arrival.lead_type_key
    ):
        return []
    return [
        name
        for name, differs in (
            ("customer", stored.customer_id != arrival.customer_id),
            ("product", stored.product_id != arrival.product_id),
            ("lead type", stored.lead_type_key != arrival.lead_type_key),
        )
        if differs
    ]


def _conflict(arrival: Arrival, differing: Sequence[str]) -> str:
    return f"Lead {arrival.lead.external_id!r} is known with another {' and '.join(differing)}; the first one stands."


def batch_result(arrivals: Sequence[Arrival], outcomes: Mapping[Action, Outcome]) -> dict[str, Any]:
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
        for action in arrival.new_actions:
            actions[outcomes[action].value] += 1
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
