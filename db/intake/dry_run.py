"""A dry run: leads are decided exactly as a worker would, from one snapshot, without a lock and without writing."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from db.intake import matching, own_ids, stored_leads
from db.intake.arrival import Arrival
from db.intake.people import foresee_people
from db.intake.stored_leads import StoredLead
from db.ledger import judging, single_changes
from db.ledger.case import Case, Customer
from db.ledger.policies import Policies
from db.masters.customers import Described


@dataclass(frozen=True, slots=True)
class DryRun:
    """What leads come to: each arrival with its problem, if it has one, and the verdicts that would be written."""

    arrivals: Sequence[Arrival]
    known: dict[UUID, StoredLead]
    cases: list[Case]
    people: Described


async def decide(connection: asyncpg.Connection, arrivals: Sequence[Arrival]) -> DryRun:
    """Decide leads in a transaction that reads one snapshot.

    Raises BeingReevaluated where a worker would judge all of a customer again, and these are too many for a request.
    """
    people = await foresee_people(connection, arrivals)
    complete = await matching.find_customers(connection, arrivals, people.meant)
    known = await stored_leads.find(connection, [arrival.id for arrival in arrivals])
    matching.detect_conflicts([arrival for arrival in arrivals if arrival.problem], known)
    matching.merge(complete, known)
    await own_ids.detect_conflicts(connection, complete, known)
    in_force = await Policies().load(connection, {arrival.customer[0] for arrival in complete})
    decided = [arrival for arrival in complete if not arrival.problem]
    cases = list(matching.open_cases(decided, known, in_force).values())
    versions = await _versions(connection, [case.customer for case in cases])
    for case in cases:
        case.judged_by = versions.get(case.customer, case.policy.version)
    current = [case for case in cases if not case.follows_other_terms]
    stale = [case for case in cases if case.follows_other_terms]
    if current:
        await judging.judge_changes(connection, current)
    if stale:
        await single_changes.check_few_actions(connection, stale)
        await judging.judge_again(connection, stale)
    return DryRun(arrivals, known, cases, people)


async def _versions(connection: asyncpg.Connection, customers: Sequence[Customer]) -> dict[Customer, int]:
    """The policy version by which each customer was judged; none of one without a lead."""
    rows = await connection.fetch(
        """
        SELECT partner_id, customer_id, policy_version
        FROM unnest($1::uuid[], $2::uuid[]) AS wanted (partner_id, customer_id)
        JOIN customer_states USING (partner_id, customer_id)
        """,
        [customer[0] for customer in customers],
        [customer[1] for customer in customers],
    )
    return {(row["partner_id"], row["customer_id"]): row["policy_version"] for row in rows}
