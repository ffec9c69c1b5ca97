"""What lines of the audit are about, by name."""

from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

import asyncpg


class Subject(NamedTuple):
    """A partner, product, customer, user, key, webhook, or a bill, which has the name of its partner and its period."""

    kind: str
    name: str
    period: int | None


async def named(connection: asyncpg.Connection, ids: Collection[UUID]) -> dict[UUID, Subject]:
    """Those of the ids that are still on record and have a name."""
    rows = await connection.fetch(
        """
        SELECT id, 'partner' AS kind, name, NULL::int AS period FROM partners WHERE id = ANY($1::uuid[])
        UNION ALL SELECT id, 'product', name, NULL FROM products WHERE id = ANY($1::uuid[])
        UNION ALL SELECT id, 'customer', name, NULL FROM customers WHERE id = ANY($1::uuid[])
        UNION ALL SELECT id, 'user', name, NULL FROM users WHERE id = ANY($1::uuid[])
        UNION ALL SELECT id, 'key', name, NULL FROM api_keys WHERE id = ANY($1::uuid[])
        UNION ALL SELECT id, 'webhook', url, NULL FROM webhooks WHERE id = ANY($1::uuid[]) AND url IS NOT NULL
        UNION ALL
        SELECT bills.id, 'bill', partners.name, period FROM bills JOIN partners ON partners.id = partner_id
        WHERE bills.id = ANY($1::uuid[])
        """,
        list(ids),
    )
    return {row["id"]: Subject(row["kind"], row["name"], row["period"]) for row in rows}
