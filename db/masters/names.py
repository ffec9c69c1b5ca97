"""How partners and products are called, many at once."""

from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

import asyncpg


class Called(NamedTuple):
    """The own id of a partner or product, and its name."""

    external_id: str
    name: str


async def of_partners_and_products(connection: asyncpg.Connection, ids: Collection[UUID]) -> dict[UUID, Called]:
    """How those that exist are called."""
    rows = await connection.fetch(
        """
        SELECT id, external_id, name FROM partners WHERE id = ANY($1::uuid[])
        UNION ALL SELECT id, external_id, name FROM products WHERE id = ANY($1::uuid[])
        """,
        list(ids),
    )
    return {row["id"]: Called(row["external_id"], row["name"]) for row in rows}
