"""The result of one row of the inbox: its part of the status of the request (`db.intake.request_status`)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from billing.actions import Action, Outcome
from db.intake.arrival import Arrival


def result_from_arrivals(arrivals: Sequence[Arrival], outcomes: Mapping[Action, Outcome]) -> dict[str, Any]:
    """Leads and actions counted by what became of them, and the problems of those in quarantine.

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
