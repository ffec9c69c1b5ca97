"""Matching the leads of a batch with what is on record: which are new, known or in conflict (R1, R3, R12)."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import asyncpg

from billing.actions import Action
from billing.leads import IdentifiedAction, identified
from billing.policy import Policy
from db.core.row_keys import ROW_KEYS, duplicate_key
from db.intake.arrival import Arrival
from db.intake.stored_leads import StoredLead
from db.ledger.case import Case, Customer


async def find_customers(
    connection: asyncpg.Connection, arrivals: Sequence[Arrival], people: Mapping[UUID, UUID]
) -> list[Arrival]:
    """Set the partner and the person of each lead; returns the leads that have both, the others get their problem.

    `people` gives the person behind each customer id.
    """
    partners = {
        row["id"]: row["partner_id"]
        for row in await connection.fetch(
            "SELECT id, partner_id FROM products WHERE id = ANY($1::uuid[])",
            list({arrival.product_id for arrival in arrivals}),
        )
    }
    complete = []
    for arrival in arrivals:
        if arrival.product_id not in partners:
            arrival.set_problem("unknown_product", f"No product {arrival.lead.product!r} is known.")
        elif arrival.customer_id not in people:
            arrival.set_problem("unknown_customer", f"No customer {arrival.lead.customer!r} is known.")
        else:
            arrival.customer_id = people[arrival.customer_id]
            arrival.customer = (partners[arrival.product_id], arrival.customer_id)
            complete.append(arrival)
    return complete


def merge(arrivals: Iterable[Arrival], known: Mapping[UUID, StoredLead]) -> list[Arrival]:
    """Compare leads with those on record and with each other, in the order given; returns the new ones, each once.

    The first one stored stands: a lead that differs from it is a conflict (R3).
    """
    leads: dict[UUID, StoredLead | Arrival] = dict(known)
    first = []
    for arrival in arrivals:
        stored = leads.setdefault(arrival.id, arrival)
        if stored is arrival:
            arrival.is_new = True
            first.append(arrival)
        elif differing := _differing(arrival, stored):
            arrival.set_problem("conflict", _conflict_detail(arrival, differing))
    return first


def detect_conflicts(arrivals: Iterable[Arrival], known: Mapping[UUID, StoredLead]) -> None:
    """Mark known leads that come again with an unknown product or another type as conflicts, not as unknown (R3)."""
    for arrival in arrivals:
        stored = known.get(arrival.id)
        # An unknown customer id has no person to compare.
        differing = [name for name in _differing(arrival, stored) if name != "customer"] if stored else []
        if differing:
            arrival.set_problem("conflict", _conflict_detail(arrival, differing))


def open_cases(
    arrivals: Iterable[Arrival], known: Mapping[UUID, StoredLead], policies: Mapping[UUID, Policy]
) -> dict[Customer, Case]:
    """One case per customer with new actions, each priced by its own instant and assigned to its billing period."""
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
        arrival.new_actions = [price_action(arrival, action, case.policy) for action in new]
        case.new += arrival.new_actions
        if arrival.id in known:
            case.lead_periods |= {(arrival.id, period) for period in known[arrival.id].periods}
    return cases


def price_action(arrival: Arrival, identity: IdentifiedAction, policy: Policy) -> Action:
    """One new action with its value, its duplicate key and its billing period (R5, R6, R11)."""
    action_id, sent, type_key, level_key, occurrence = identity
    partner_id, customer_id = arrival.customer
    product_id, occurred_at = arrival.product_id, sent.occurred_at
    rate_rule_id, value_minor = policy.card.price(product_id, arrival.lead_type_key, type_key, level_key, occurred_at)
    own_period = policy.calendar.period_of(occurred_at)
    # By position, because names would double the cost, and this runs for every action.
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


def _differing(arrival: Arrival, stored: StoredLead | Arrival) -> list[str]:
    """In what a lead differs from the one that is stored."""
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


def _conflict_detail(arrival: Arrival, differing: Sequence[str]) -> str:
    return f"Lead {arrival.lead.external_id!r} is known with another {' and '.join(differing)}; the first one stands."
