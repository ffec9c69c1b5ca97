"""Actions that carry an id of the caller's own (R3): a known one that comes with another content is a conflict."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import asyncpg

from billing.leads import Content, LeadAction, differing_content
from billing.texts import text_key
from db.core.row_keys import ROW_KEYS
from db.intake.arrival import Arrival
from db.intake.stored_leads import StoredLead


async def detect_conflicts(
    connection: asyncpg.Connection, arrivals: Iterable[Arrival], known: Mapping[UUID, StoredLead]
) -> None:
    """Mark leads whose actions say something else than the first ones with these ids, on record or in this batch.

    Nothing is read for leads that are new or have no such actions. What corrects an action stands for it, too.
    """
    with_ids = [arrival for arrival in arrivals if not arrival.problem and _has_own_ids(arrival)]
    if not with_ids:
        return
    for arrival in with_ids:
        actions = arrival.lead.actions
        arrival.own_ids = {
            ROW_KEYS.own_action(arrival.id, action.external_id): action.external_id
            for action in actions
            if action.external_id
        }
    ids = [each for arrival in with_ids if arrival.id in known for each in arrival.own_ids]
    stored = await _contents(connection, ids) if ids else {}
    for arrival in with_ids:
        _compare(arrival, stored)


async def add(connection: asyncpg.Connection, arrivals: Iterable[Arrival]) -> None:
    """Store the ids of new actions as they were sent."""
    rows = [
        (action.id, arrival.own_ids[action.id])
        for arrival in arrivals
        if arrival.own_ids
        for action in arrival.new_actions
        if action.id in arrival.own_ids
    ]
    if rows:
        await connection.copy_records_to_table(
            "action_external_ids", records=rows, columns=["action_id", "external_id"]
        )


def _has_own_ids(arrival: Arrival) -> bool:
    return any(action.external_id for action in arrival.lead.actions)


def _compare(arrival: Arrival, stored: dict[UUID, list[Content]]) -> None:
    """Compare an arrival with what is stored; if nothing contradicts, its actions count as stored for those after."""
    by_id = {
        ROW_KEYS.own_action(arrival.id, action.external_id): action
        for action in arrival.lead.actions
        if action.external_id
    }
    for action_id, action in by_id.items():
        if action_id in stored and action.content not in stored[action_id]:
            arrival.set_problem("action_conflict", _detail(arrival, action, stored[action_id][0]))
            return
    for action_id, action in by_id.items():
        stored.setdefault(action_id, [action.content])


def _detail(arrival: Arrival, action: LeadAction, first: Content) -> str:
    differing = " and ".join(differing_content(action.content, first))
    lead, own_id = arrival.lead.external_id, action.external_id
    return f"Action {own_id!r} of lead {lead!r} is known with another {differing}; the first one stands."


async def _contents(connection: asyncpg.Connection, ids: Sequence[UUID]) -> dict[UUID, list[Content]]:
    """What each stored action says, and the actions that correct it, one after the other."""
    rows = await connection.fetch(
        """
        WITH RECURSIVE standing AS (
            SELECT id AS first_id, id, 0 AS depth FROM actions WHERE id = ANY($1::uuid[])
            UNION ALL
            SELECT first_id, right_id, depth + 1 FROM standing JOIN corrections ON wrong_id = standing.id
        )
        SELECT first_id, action_type, engagement_level, occurred_at
        FROM standing JOIN actions USING (id) ORDER BY first_id, depth
        """,
        ids,
    )
    contents: dict[UUID, list[Content]] = {}
    for first_id, action_type, level, occurred_at in rows:
        contents.setdefault(first_id, []).append((text_key(action_type), text_key(level), occurred_at))
    return contents
