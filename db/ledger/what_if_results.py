"""The result of a what-if: where something would differ. It goes with its task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import asyncpg


class Difference(NamedTuple):
    """What is billed to a partner for a customer in a billing period, as it is and as it would be."""

    partner_id: UUID
    period: int
    customer_id: UUID
    before_minor: int
    after_minor: int


@dataclass(frozen=True, slots=True)
class ShownDifference:
    """A difference with the own ids and names of its partner and customer; `position` is its place in the result."""

    position: int
    partner_id: UUID
    partner: str
    partner_name: str
    currency: str
    customer_id: UUID
    customer: str
    customer_name: str
    period: int
    before_minor: int
    after_minor: int


async def add(connection: asyncpg.Connection, task_id: UUID, differences: Sequence[Difference]) -> None:
    """Add differences to a result, in their order."""
    await connection.copy_records_to_table(
        "what_if_differences",
        records=[(task_id, *each) for each in differences],
        columns=["task_id", *Difference._fields],
    )


async def delete(connection: asyncpg.Connection, task_id: UUID) -> None:
    """Delete what an attempt has stored."""
    await connection.execute("DELETE FROM what_if_differences WHERE task_id = $1", task_id)


async def page(connection: asyncpg.Connection, task_id: UUID, *, after: int, limit: int) -> list[ShownDifference]:
    """Differences by partner, customer and period."""
    rows = await connection.fetch(
        """
        SELECT position, partner_id, partners.external_id AS partner, partners.name AS partner_name,
            partners.currency, customer_id, customers.external_id AS customer, customers.name AS customer_name,
            period, before_minor, after_minor
        FROM what_if_differences JOIN partners ON partners.id = partner_id JOIN customers ON customers.id = customer_id
        WHERE task_id = $1 AND position > $2 ORDER BY position LIMIT $3
        """,
        task_id,
        after,
        limit,
    )
    return [ShownDifference(**dict(row)) for row in rows]
