"""Erasing a person: name, e-mail and the callers' ids go; the row and its key stay, so every sum stays right.

A customer id that is sent again means the same, now unnamed person, so the cap and the duplicates stay right. A lead
never changes a stored person (R12), so it brings no name back.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4, uuid5

import asyncpg
import msgspec

from db.core import locks
from db.core.row_keys import customer_uuid
from db.core.unit_of_work import UnitOfWork
from db.masters.erased import ERASED_NAME, erased_email, is_reserved_email
from db.privacy.identifiers import Identity, json_from_text, readable_leads
from db.tasks import records
from db.telemetry import counters
from db.telemetry.counters import PEOPLE_ERASED

KIND = "erase"
"""The kind of its background task."""

_WRITTEN_AS = ("ids", "spellings", "names", "emails")


@dataclass(frozen=True, slots=True)
class Erased:
    """Who was erased from the master data, when first, and when last.

    What came after the first time with only the e-mail is another person's, who has it now; what came with one of the
    ids until the last time is this person's.
    """

    identity: Identity
    erased_at: datetime
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Stage:
    """How far the erasure of a person is. `erased_at` None: it waits to begin; `is_done`: nothing holds who it was."""

    erased_at: datetime | None
    is_done: bool


async def stage(connection: asyncpg.Connection, customer_id: UUID, ids: Iterable[str]) -> Stage | None:
    """How far the erasure of a person is whose own ids these are; None if nobody asked for it."""
    row = await connection.fetchrow(
        "SELECT erased_at, remembered IS NULL AS is_done FROM erased_customers WHERE customer_id = $1", customer_id
    )
    if row is not None:
        return Stage(row["erased_at"], row["is_done"])
    waits = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM tasks WHERE kind = $1 AND dedup_key = ANY($2::text[]) AND finished_at IS NULL)",
        KIND,
        [_dedup_key(customer_id, each) for each in (*ids, str(customer_id))],
    )
    return Stage(None, False) if waits else None


async def start(uow: UnitOfWork, customer_id: UUID, asked_as: str) -> UUID:
    """Start the task that erases a person, whom the caller named by the id `asked_as`; returns the task's id.

    Asked for again by the same id while it is not finished, it is the same task.
    """
    await uow.audit("customer.erased", customer_id)
    arguments = {"customer_id": customer_id, "asked_as": asked_as}
    return await records.start(uow, KIND, arguments, dedup_key=_dedup_key(customer_id, asked_as))


def _dedup_key(customer_id: UUID, asked_as: str) -> str:
    return str(uuid5(customer_id, asked_as))


async def erase_names(connection: asyncpg.Connection, customer_id: UUID, asked_as: str | None) -> Erased:
    """Erase a person from the master data. `asked_as` is the id by which the caller named them, if it is known.

    A waiting lead that would make its customer id an alias of this person, by the e-mail, makes it one now, because the
    e-mail cannot be compared any more later. The identity includes what erasures that have not ended remember.
    """
    await locks.lock_people_exclusive(connection)
    row = await connection.fetchrow("SELECT external_id, name, email FROM customers WHERE id = $1", customer_id)
    assert row is not None
    if not is_reserved_email(row["email"]):
        await _add_aliases_of_waiting_leads(connection, customer_id, row["email"])
    aliases = await connection.fetch("SELECT id, external_id FROM customer_aliases WHERE customer_id = $1", customer_id)
    found = Identity(
        frozenset({customer_id, *(alias["id"] for alias in aliases)}),
        frozenset({*([asked_as] if asked_as else []), row["external_id"], *(each["external_id"] for each in aliases)}),
        frozenset({row["name"]} - {ERASED_NAME}),
        frozenset() if is_reserved_email(row["email"]) else frozenset({row["email"]}),
    )
    identity = _union([found, *await _remembered(connection, customer_id)])
    await _replace(connection, customer_id)
    await counters.add(connection, {PEOPLE_ERASED: 1})
    times = await connection.fetchrow(
        """
        INSERT INTO erased_customers (customer_id, remembered) VALUES ($1, $2)
        ON CONFLICT (customer_id) DO UPDATE SET remembered = excluded.remembered
        RETURNING erased_at, clock_timestamp() AS asked_at
        """,
        customer_id,
        _text_from_identity(identity),
    )
    assert times is not None
    return Erased(identity, times["erased_at"], times["asked_at"])


async def clear_memory(connection: asyncpg.Connection, customer_id: UUID, erased: Erased, task_id: UUID) -> None:
    """Forget who it was: the last step of an erasure.

    Another one of the same person may have begun meanwhile: its arguments stay, and so does a memory that holds more.
    """
    await connection.execute(
        "UPDATE erased_customers SET remembered = NULL WHERE customer_id = $1 AND remembered = $2::jsonb",
        customer_id,
        _text_from_identity(erased.identity),
    )
    await connection.execute(
        """
        UPDATE tasks SET arguments = arguments || '{"asked_as": null, "erased": null}', last_error = NULL
        WHERE kind = 'erase' AND arguments->>'customer_id' = $1 AND (id = $2 OR finished_at IS NOT NULL)
        """,
        str(customer_id),
        task_id,
    )


async def _replace(connection: asyncpg.Connection, customer_id: UUID) -> None:
    """Put the key in the place of the ids and a placeholder in that of the name and the e-mail.

    Whoever sent the placeholder as an e-mail, before it was refused, keeps it; this person gets another one.
    """
    await connection.execute("UPDATE customer_aliases SET external_id = id::text WHERE customer_id = $1", customer_id)
    email = erased_email(customer_id)
    if await connection.fetchval("SELECT true FROM customers WHERE email = $1 AND id <> $2", email, customer_id):
        email = erased_email(uuid4())
    await connection.execute(
        "UPDATE customers SET external_id = id::text, name = $2, email = $3 WHERE id = $1",
        customer_id,
        ERASED_NAME,
        email,
    )


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


async def _remembered(connection: asyncpg.Connection, customer_id: UUID) -> list[Identity]:
    """What erasures of the same person remember that have not ended, or failed; 0.2 kept it in the task."""
    rows = await connection.fetch(
        """
        SELECT remembered AS identity FROM erased_customers WHERE customer_id = $1 AND remembered IS NOT NULL
        UNION ALL
        SELECT arguments->'erased'->'identity' FROM tasks
        WHERE kind = 'erase' AND arguments->>'customer_id' = $2 AND jsonb_typeof(arguments->'erased') = 'object'
        """,
        customer_id,
        str(customer_id),
    )
    return [_identity_from_row(row["identity"]) for row in rows]


def _identity_from_row(stored: dict[str, list[Any]]) -> Identity:
    """An identity from JSON. Where erasures of 0.2 ran at once, a null may stand among the spellings."""
    return msgspec.convert({name: [text for text in stored[name] if text] for name in _WRITTEN_AS}, Identity)


def _text_from_identity(identity: Identity) -> str:
    """An identity as JSON; equal ones give equal values."""
    return msgspec.json.encode({name: sorted(map(str, getattr(identity, name))) for name in _WRITTEN_AS}).decode()


def _union(identities: Iterable[Identity]) -> Identity:
    every = list(identities)
    return Identity(*(frozenset().union(*(getattr(each, name) for each in every)) for name in _WRITTEN_AS))
