"""The result of one row of the inbox: its part of the status of the request (`db.intake.request_status`)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from billing.actions import Action, Outcome
from db.intake.arrival import Arrival

MOST_CORRECTIONS = 1_000
"""Possible corrections that the result of one row names; it counts all of them."""


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
    result: dict[str, Any] = {"leads": leads, "actions": actions, "problems": problems}
    if found := [(arrival, each) for arrival in arrivals for each in arrival.possible_corrections]:
        result["possible_correction_count"] = len(found)
        result["possible_corrections"] = [
            {
                "index": arrival.lead.index,
                "lead_id": arrival.lead.external_id,
                "action_id": each.action_id,
                "stored_action_id": each.stored_action_id,
                "differs": each.differs,
                "stored": each.stored,
                "sent": each.sent,
            }
            for arrival, each in found[:MOST_CORRECTIONS]
        ]
    return result


def joined(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a row of which some leads were decided before."""
    result: dict[str, Any] = {
        "leads": _sums(before["leads"], now["leads"]),
        "actions": _sums(before["actions"], now["actions"]),
        "problems": [*before["problems"], *now["problems"]],
    }
    count = before.get("possible_correction_count", 0) + now.get("possible_correction_count", 0)
    if count:
        found = [*before.get("possible_corrections", ()), *now.get("possible_corrections", ())]
        result |= {"possible_correction_count": count, "possible_corrections": found[:MOST_CORRECTIONS]}
    return result


def _sums(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    return {name: before.get(name, 0) + now.get(name, 0) for name in (*before, *now)}
