"""One batch of leads, from what arrived to verdicts on record, in the caller's one transaction."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg

from db import intake, judge, locks, verdicts
from db.intake import Arrival
from db.policies import Policies, store_periods


async def process(
    connection: asyncpg.Connection, policies: Policies, arrivals: Sequence[Arrival], people: Mapping[UUID, UUID]
) -> dict[UUID, str]:
    """Decide leads and write their verdicts; returns the outcome of each new action.

    Leads that cannot be billed yet leave with a `problem` and are the caller's to quarantine. `people` gives the
    person behind each customer id. Doing it twice changes nothing (R3).
    """
    placed = await intake.place(connection, arrivals, people)
    unplaced = [arrival for arrival in arrivals if arrival.problem]
    if unplaced:
        intake.contradict(unplaced, await intake.known_leads(connection, [arrival.id for arrival in unplaced]))
    if not placed:
        return {}
    partner_ids = {arrival.customer[0] for arrival in placed}
    await locks.share_partners(connection, partner_ids)
    in_force = await policies.load(connection, partner_ids)
    versions = await locks.lock_customers(connection, [arrival.customer for arrival in placed])
    known = await intake.known_leads(connection, [arrival.id for arrival in placed])
    first = intake.merge(placed, known)
    taken = await intake.add_leads(connection, first)
    for arrival in placed:
        if arrival.id in taken:
            arrival.refuse("conflict", f"Lead {arrival.lead.external_id!r} is known with another customer or product.")
    cases = intake.open_cases([arrival for arrival in placed if not arrival.problem], known, in_force)
    used = {
        (case.customer[0], period)
        for case in cases.values()
        for a in case.new
        for period in (a.own_period, a.billing_period)
    }
    await store_periods(connection, in_force, used)
    for case in cases.values():
        case.judged_by = versions[case.customer]
    current = [case for case in cases.values() if case.judged_by in (0, case.policy.version)]
    stale = [case for case in cases.values() if case.judged_by not in (0, case.policy.version)]
    if current:
        await judge.judge_new(connection, current)
    if stale:
        await judge.judge_again(connection, stale)
    if cases:
        await verdicts.write(connection, [*current, *stale])
    new = {action.id for case in cases.values() for action in case.new}
    return {
        verdict.action.id: verdict.outcome.value
        for case in cases.values()
        for verdict in case.verdicts
        if verdict.action.id in new
    }
