"""Writing the audit (P3): who changed what, when and whence, what it was before and what it is now.

The unit of work writes it in the transaction of the change, so there is neither a change without a line nor a line
without a change. People who are billed for are named by their key only: the database refuses to change a line.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
import msgspec

from db.core.actor import Actor

Facts = Mapping[str, Any]
"""What of a subject changed, by name: values that JSON can say, money in minor units."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asks for a change, in which request, and the address that the request came from."""

    actor: Actor
    request_id: str
    address: str | None


Change = tuple[object, Facts | None, Facts | None]
"""A subject, which is named by its key, and what it was before and is now."""


async def write(connection: asyncpg.Connection, origin: Origin, what: str, changes: Iterable[Change]) -> None:
    """Add a line for each change, in their order."""
    new = list(changes)
    await connection.execute(
        """
        INSERT INTO audit (who_kind, who_id, who_name, request_id, address, what, subject, before, after)
        SELECT $1, $2, $3, $4, $5, $6, subject, before, after
        FROM unnest($7::text[], $8::jsonb[], $9::jsonb[]) AS new (subject, before, after)
        """,
        origin.actor.kind,
        origin.actor.id,
        origin.actor.name,
        origin.request_id,
        origin.address,
        what,
        [str(subject) for subject, *_ in new],
        [_text_from_facts(before) for _, before, _ in new],
        [_text_from_facts(after) for *_, after in new],
    )


def _text_from_facts(facts: Facts | None) -> str | None:
    return None if facts is None else msgspec.json.encode(dict(facts)).decode()
