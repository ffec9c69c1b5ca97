"""New actions of known leads that may be meant to correct stored ones (R3).

They have the same instant, and another level or another type. Only leads that come again with new actions are looked
at, so new leads and replays cost nothing.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.leads import identified
from billing.texts import text_key
from db.core.row_keys import ROW_KEYS
from db.intake.arrival import Arrival, PossibleCorrection


@dataclass(frozen=True, slots=True)
class _Stored:
    """An action that could be wrong: it counts, and so can be corrected."""

    id: UUID
    action_type: str
    engagement_level: str
    has_own_id: bool

    def difference(self, action_type: str, level: str) -> tuple[str, str, str] | None:
        """What differs and how the stored and the new one have it, if it is one thing."""
        same_type = text_key(self.action_type) == text_key(action_type)
        same_level = text_key(self.engagement_level) == text_key(level)
        if same_type and not same_level:
            return "engagement_level", self.engagement_level, level
        if same_level and not same_type:
            return "action_type", self.action_type, action_type
        return None


async def find(connection: asyncpg.Connection, arrivals: Iterable[Arrival]) -> None:
    """Set the possible corrections of leads that came again with new actions, which are stored by now.

    One for each new action: of several stored ones that it could correct the first, and none that the message itself
    holds, too. Two actions with ids of their own are two, because the caller says so.
    """
    extended = [arrival for arrival in arrivals if arrival.new_actions and not arrival.is_new]
    if not extended:
        return
    stored = await _stored_actions(connection, {arrival.id for arrival in extended})
    later = {action.id for arrival in extended for action in arrival.new_actions}
    for arrival in extended:
        sent = {each.id for each in identified(ROW_KEYS, arrival.id, arrival.lead.actions)}
        arrival.possible_corrections = list(_of_arrival(arrival, stored, later | sent))
        later -= {action.id for action in arrival.new_actions}


def _of_arrival(
    arrival: Arrival, stored: dict[tuple[UUID, datetime], list[_Stored]], left_out: set[UUID]
) -> Iterable[PossibleCorrection]:
    for action in arrival.new_actions:
        for each in stored.get((arrival.id, action.occurred_at), ()):
            difference = each.difference(action.action_type, action.engagement_level)
            named = each.has_own_id and action.id in arrival.own_ids
            if difference and each.id not in left_out and not named:
                yield PossibleCorrection(action.id, each.id, *difference)
                break


async def _stored_actions(
    connection: asyncpg.Connection, lead_ids: Iterable[UUID]
) -> dict[tuple[UUID, datetime], list[_Stored]]:
    """The actions of leads that count, by lead and instant."""
    rows = await connection.fetch(
        """
        SELECT id, lead_id, action_type, engagement_level, occurred_at,
            EXISTS (SELECT FROM action_external_ids WHERE action_id = actions.id) AS has_own_id
        FROM actions WHERE lead_id = ANY($1::uuid[]) AND standing <> 'returned'
            AND NOT EXISTS (SELECT FROM credits WHERE action_id = actions.id)
        ORDER BY occurrence, id
        """,
        list(lead_ids),
    )
    stored = defaultdict(list)
    for row in rows:
        each = _Stored(row["id"], row["action_type"], row["engagement_level"], row["has_own_id"])
        stored[row["lead_id"], row["occurred_at"]].append(each)
    return stored
