"""The corrections on record (R3): which action stands for which."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg


async def add(connection: asyncpg.Connection, wrong: asyncpg.Record, right_id: UUID, reason: str) -> None:
    """Record that an action stands for another one, a row of actions."""
    await connection.execute(
        "INSERT INTO corrections (wrong_id, right_id, partner_id, customer_id, reason) VALUES ($1, $2, $3, $4, $5)",
        wrong["id"],
        right_id,
        wrong["partner_id"],
        wrong["customer_id"],
        reason,
    )


async def by(connection: asyncpg.Connection, action_id: UUID) -> UUID | None:
    """The action that stands for this one; None if it was not corrected."""
    right_id: UUID | None = await connection.fetchval("SELECT right_id FROM corrections WHERE wrong_id = $1", action_id)
    return right_id


async def of_actions(connection: asyncpg.Connection, action_ids: Sequence[UUID]) -> list[tuple[UUID, UUID]]:
    """(wrong action, right action) of each correction that concerns one of these actions."""
    rows = await connection.fetch(
        "SELECT wrong_id, right_id FROM corrections WHERE wrong_id = ANY($1::uuid[]) OR right_id = ANY($1::uuid[])",
        list(action_ids),
    )
    return [(row["wrong_id"], row["right_id"]) for row in rows]
