"""One batch of leads, from what arrived to verdicts on record, in the caller's one transaction."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import asyncpg

from billing.actions import Action, Outcome
from db.core import locks
from db.intake import matching
from db.intake.matching import Arrival
from db.ledger import judging, verdicts
from db.ledger.judging import Case
from db.ledger.policies import Policies, store_periods


async def process(
    connection: asyncpg.Connection, policies: Policies, arrivals: Sequence[Arrival], people: Mapping[UUID, UUID]
) -> dict[Action, Outcome]:
    """Decide leads and write their verdicts; returns what became of each action that was judged.

    Leads that cannot be billed yet leave with a `problem` and are the caller's to quarantine. `people` gives the
    person behind each customer id. Doing it twice changes nothing (R3).
    """
    placed = await matching.place(connection, arrivals, people)
    unplaced = [arrival for arrival in arrivals if arrival.problem]
    if unplaced:
        matching.detect_conflicts(
            unplaced, await matching.known_leads(connection, [arrival.id for arrival in unplaced])
        )
    if not placed:
        return {}
    customers = {arrival.customer for arrival in placed}
    partner_ids = {partner_id for partner_id, _ in customers}
    await locks.lock_partners_shared(connection, partner_ids)
    in_force = await policies.load(connection, partner_ids)
    await locks.ensure_customer_states(connection, {customer: in_force[customer[0]].version for customer in customers})
    versions = await locks.lock_customers(connection, customers)
    known = await matching.known_leads(connection, [arrival.id for arrival in placed])
    await matching.add_leads(connection, matching.merge(placed, known))
    cases = matching.open_cases([arrival for arrival in placed if not arrival.problem], known, in_force)
    if not cases:
        return {}
    await store_periods(connection, in_force, _periods_of(cases.values()))
    for case in cases.values():
        case.judged_by = versions[case.customer]
    current = [case for case in cases.values() if case.judged_by == case.policy.version]
    stale = [case for case in cases.values() if case.judged_by != case.policy.version]
    if current:
        await judging.judge_new(connection, current)
    if stale:
        await judging.judge_again(connection, stale)
    await verdicts.write(connection, [*current, *stale])
    return {verdict.action: verdict.outcome for case in cases.values() for verdict in case.verdicts}


def _periods_of(cases: Iterable[Case]) -> dict[UUID, set[int]]:
    """The periods of each partner that new actions lie in or are billed in."""
    used: dict[UUID, set[int]] = defaultdict(set)
    for case in cases:
        for action in case.new:
            used[case.customer[0]] |= {action.own_period, action.billing_period}
    return used
