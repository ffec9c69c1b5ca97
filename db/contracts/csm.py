"""The customer success manager of a partner: a person who may approve bills."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from billing.errors import RuleViolation
from db.core.row_keys import uuid_from_text
from db.masters.emails import email_from_wire


@dataclass(frozen=True, slots=True)
class Csm:
    """A person by key, name and e-mail."""

    id: UUID
    name: str
    email: str


async def find(connection: asyncpg.Connection, who: str) -> UUID:
    """The key of a person who is named by key or e-mail; RuleViolation for whoever cannot be a CSM."""
    found: UUID | None = await connection.fetchval(
        """
        SELECT id FROM users WHERE (id = $1 OR email = $2)
            AND deactivated_at IS NULL AND role IN ('customer_success', 'sales', 'admin')
        """,
        uuid_from_text(who),
        email_from_wire(who) if "@" in who else None,
    )
    if found is None:
        raise RuleViolation(
            f"{who!r} cannot be the CSM: no active person in Customer Success or Sales and no Admin is called so."
        )
    return found


async def read_all(connection: asyncpg.Connection, user_ids: Iterable[UUID]) -> dict[UUID, Csm]:
    """People by key."""
    rows = await connection.fetch("SELECT id, name, email FROM users WHERE id = ANY($1::uuid[])", list(user_ids))
    return {row["id"]: Csm(**row) for row in rows}
