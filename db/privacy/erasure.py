"""Erasing a person: name, e-mail and the callers' ids go; the row and its key stay, so every sum stays right.

A customer id that is sent again means the same, now unnamed person, so the cap and the duplicates stay right. A lead
never changes a stored person (R12), so it brings no name back.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from db.core import locks
from db.core.row_keys import customer_uuid
from db.core.unit_of_work import UnitOfWork
from db.masters.erased import ERASED_NAME, erased_email
from db.privacy.identifiers import Identity, json_from_text, readable_leads
from db.tasks import records
from db.telemetry import counters
from db.telemetry.counters import PEOPLE_ERASED

KIND = "erase"
"""The kind of its background task."""


@dataclass(frozen=True, slots=True)
class Erased:
    """Who was erased from the master data and when; a task remembers it until all else is erased too."""

    identity: Identity
    erased_at: datetime


async def start(uow: UnitOfWork, customer_id: UUID, asked_as: str) -> UUID:
    """Start the task that erases a person, whom the caller named by the id `asked_as`; returns the task's id."""
    return await records.start(uow, KIND, {"customer_id": customer_id, "asked_as": asked_as})


async def erase_names(connection: asyncpg.Connection, customer_id: UUID, asked_as: str) -> Erased:
    """Erase a person from the master data. `asked_as` is the id by which the caller named them.

    A waiting lead that would make its customer id an alias of this person, by the e-mail, makes it one now, because the
    e-mail cannot be compared any more later. The identity includes what earlier, unfinished erasures remember.
    """
    await locks.lock_people_exclusive(connection)
    row = await connection.fetchrow("SELECT external_id, name, email FROM customers WHERE id = $1", customer_id)
    assert row is not None
    await _add_aliases_of_waiting_leads(connection, customer_id, row["email"])
    aliases = await connection.fetch("SELECT id, external_id FROM customer_aliases WHERE customer_id = $1", customer_id)
    identities = await _identities_of_unfinished_erasures(connection, customer_id)
    identities.append(
        Identity(
            frozenset({customer_id, *(alias["id"] for alias in aliases)}),
            frozenset({asked_as, row["external_id"], *(alias["external_id"] for alias in aliases)}),
            frozenset({row["name"]} - {ERASED_NAME}),
            frozenset({row["email"]} - {erased_email(customer_id)}),
        )
    )
    await connection.execute("UPDATE customer_aliases SET external_id = id::text WHERE customer_id = $1", customer_id)
    await connection.execute(
        "UPDATE customers SET external_id = id::text, name = $2, email = $3 WHERE id = $1",
        customer_id,
        ERASED_NAME,
        erased_email(customer_id),
    )
    await counters.add(connection, {PEOPLE_ERASED: 1})
    return Erased(_union(identities), await connection.fetchval("SELECT clock_timestamp()"))


async def _add_aliases_of_waiting_leads(connection: asyncpg.Connection, customer_id: UUID, email: str) -> None:
    """Make the customer ids of undecided leads that describe this e-mail aliases of the person."""
    rows = await connection.fetch(
        """
        SELECT payload FROM inbox WHERE done_at IS NULL AND position($1::bytea IN payload) > 0
        UNION ALL
        SELECT '['::bytea || payload || ']'::bytea FROM quarantine
        WHERE resolved_at IS NULL AND position($1::bytea IN payload) > 0
        UNION ALL
        SELECT '['::bytea || payload || ']'::bytea FROM dead_letters
        WHERE resolved_at IS NULL AND position($1::bytea IN payload) > 0
        """,
        json_from_text(email),
    )
    described = {
        customer_uuid(lead.customer)
        for row in rows
        for lead in readable_leads(row["payload"])
        if lead.person and lead.person.email == email
    }
    await connection.execute(
        """
        INSERT INTO customer_aliases (id, external_id, customer_id)
        SELECT described, described::text, $2 FROM unnest($1::uuid[]) AS described
        WHERE NOT EXISTS (SELECT FROM customers WHERE id = described) ON CONFLICT DO NOTHING
        """,
        list(described),
        customer_id,
    )


async def _identities_of_unfinished_erasures(connection: asyncpg.Connection, customer_id: UUID) -> list[Identity]:
    """What earlier erasures of the same person remember, because they failed."""
    rows = await connection.fetch(
        """
        SELECT arguments->'erased'->'identity' AS identity FROM tasks
        WHERE kind = 'erase' AND arguments->>'customer_id' = $1 AND arguments->'erased' <> 'null'
        """,
        str(customer_id),
    )
    return [msgspec.convert(row["identity"], Identity) for row in rows]


async def clear_remembered_identity(connection: asyncpg.Connection, customer_id: UUID) -> None:
    """Erase the person from what the erasure tasks keep, arguments and errors; the last step of an erasure."""
    await connection.execute(
        """
        UPDATE tasks SET arguments = arguments || '{"asked_as": null, "erased": null}', last_error = NULL
        WHERE kind = 'erase' AND arguments->>'customer_id' = $1
        """,
        str(customer_id),
    )


def _union(identities: list[Identity]) -> Identity:
    return Identity(
        *(
            frozenset().union(*(getattr(each, name) for each in identities))
            for name in ("ids", "spellings", "names", "emails")
        )
    )
