"""The decision about one batch of leads: from arrivals to verdicts on record, in the caller's transaction."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from uuid import UUID

import asyncpg

from billing.actions import Action, Outcome
from db.core import locks
from db.core.errors import BatchTooLarge
from db.intake import matching, own_ids, possible_corrections, stored_leads
from db.intake.arrival import Arrival
from db.ledger import judging, reevaluation, verdicts
from db.ledger.case import Case, Customer
from db.ledger.periods import store_periods
from db.ledger.policies import Policies
from db.masters import carried_ids


async def process(
    connection: asyncpg.Connection,
    policies: Policies,
    arrivals: Sequence[Arrival],
    people: Mapping[UUID, UUID],
    most_open_actions: int | None = None,
) -> dict[Action, Outcome]:
    """Decide leads and write their verdicts; returns the outcome of each action that was judged.

    Leads that cannot be billed yet get a `problem`; the caller quarantines them. `people` gives the person behind each
    customer id. Deciding the same leads twice changes nothing (R3).

    BatchTooLarge if several customers must be judged again who have more than `most_open_actions` together.
    """
    complete = await matching.find_customers(connection, arrivals, people)
    incomplete = [arrival for arrival in arrivals if arrival.problem]
    if incomplete:
        matching.detect_conflicts(
            incomplete, await stored_leads.find(connection, [arrival.id for arrival in incomplete])
        )
    if not complete:
        return {}
    customers = {arrival.customer for arrival in complete}
    partner_ids = {partner_id for partner_id, _ in customers}
    await locks.lock_partners_shared(connection, partner_ids)
    in_force = await policies.load(connection, partner_ids)
    await locks.ensure_customer_states(connection, {customer: in_force[customer[0]].version for customer in customers})
    versions, with_carried_ids = await locks.lock_customers_of_leads(connection, customers)
    if any(versions[customer] > in_force[customer[0]].version for customer in customers):
        in_force = await policies.load(connection, partner_ids)  # somebody has judged by rates that changed meanwhile
    known = await stored_leads.find(connection, [arrival.id for arrival in complete])
    await stored_leads.add(connection, matching.merge(complete, known))
    await own_ids.detect_conflicts(connection, complete, known)
    await _keep_carried_ids(connection, complete, with_carried_ids)
    if known.quarantined:
        for arrival in complete:
            arrival.has_quarantined = arrival.id in known.quarantined
    cases = matching.open_cases([arrival for arrival in complete if not arrival.problem], known, in_force)
    if not cases:
        return {}
    await store_periods(connection, in_force, _periods_of(cases.values()))
    for case in cases.values():
        case.judged_by = versions[case.customer]
    current = [case for case in cases.values() if not case.follows_other_terms]
    stale = [case for case in cases.values() if case.follows_other_terms]
    if most_open_actions is not None and len(stale) > 1:
        open_actions = await reevaluation.open_actions(connection, [case.customer for case in stale])
        if open_actions > most_open_actions:
            raise BatchTooLarge(f"{len(stale)} customers with {open_actions} actions would be judged again")
    if current:
        await judging.judge_changes(connection, current)
    if stale:
        await judging.judge_again(connection, stale)
    await verdicts.write(connection, [*current, *stale])
    await own_ids.add(connection, complete)
    await possible_corrections.find(connection, complete)
    return {verdict.action: verdict.outcome for case in cases.values() for verdict in case.verdicts}


async def _keep_carried_ids(
    connection: asyncpg.Connection, arrivals: Iterable[Arrival], with_carried_ids: Set[Customer]
) -> None:
    """Keep by which ids leads name people whom the partner's leads do not name by the own one alone; few are so."""
    taken = [arrival for arrival in arrivals if not arrival.problem]
    named = with_carried_ids | {each.customer for each in taken if each.carried_id != each.customer_id}
    if named:
        await carried_ids.keep(
            connection, [(each.customer, each.carried_id) for each in taken if each.customer in named]
        )


def _periods_of(cases: Iterable[Case]) -> dict[UUID, set[int]]:
    """The periods of each partner that new actions lie in or are billed in."""
    used: dict[UUID, set[int]] = defaultdict(set)
    for case in cases:
        for action in case.new:
            used[case.customer[0]] |= {action.own_period, action.billing_period}
    return used
