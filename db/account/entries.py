"""Entries of accounts (B9): added once, never changed; one that mirrors takes another back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from billing.bills.account import EntryKind
from db.core.actor import Actor, actor_from_row


@dataclass(frozen=True, slots=True)
class NewEntry:
    """What to book; `amount_minor` is what it adds to the account.

    A bill and its entry have one id. `named` says what a payment is for, by the id of the charge; `due_on` is by
    default the day of booking.
    """

    id: UUID
    kind: EntryKind
    amount_minor: int
    document: str
    due_on: date | None = None
    external_id: str | None = None
    paid_on: date | None = None
    named: Mapping[UUID, int] = field(default_factory=dict)
    bill_id: UUID | None = None
    reverses_id: UUID | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Reversal:
    """Who took an entry back, when and why."""

    at: datetime
    who: Actor
    reason: str


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """An entry on record; `rest_minor` is what is open of a charge, or left of a credit."""

    partner_id: UUID
    partner: str
    currency: str
    entry: NewEntry
    booked_on: date
    entered_at: datetime
    who: Actor
    rest_minor: int
    reversal: Reversal | None


_ENTRIES = """
    SELECT account_entries.*, partners.external_id AS partner, partners.currency, account_rests.rest_minor,
        reversal.entered_at AS reversed_at, reversal.reason AS reversal_reason, reversal.who_kind AS reversal_who_kind,
        reversal.who_id AS reversal_who_id, reversal.who_name AS reversal_who_name
    FROM account_entries JOIN partners ON partners.id = account_entries.partner_id
    LEFT JOIN account_rests ON account_rests.entry_id = account_entries.id
    LEFT JOIN account_entries AS reversal ON reversal.reverses_id = account_entries.id
"""
_INSERT = """
    INSERT INTO account_entries (who_kind, who_id, who_name, position, id, partner_id, kind, amount_minor, booked_on,
        due_on, document, external_id, paid_on, named, bill_id, reverses_id, reason)
    SELECT $1, $2, $3, coalesce((
        SELECT max(position) FROM account_entries AS earlier WHERE earlier.partner_id = new.partner_id
    ), 0) + 1, new.*
    FROM unnest($4::uuid[], $5::uuid[], $6::text[], $7::bigint[], $8::date[], $9::date[], $10::text[], $11::text[],
        $12::date[], $13::jsonb[], $14::uuid[], $15::uuid[], $16::text[]) AS new (id, partner_id)
"""


async def insert(
    connection: asyncpg.Connection, who: Actor, partner_id: UUID, entry: NewEntry, booked_on: date
) -> int | None:
    """Add an entry behind all of its partner, under the lock of its bills; its position, None if the id is taken."""
    position: int | None = await connection.fetchval(
        f"{_INSERT} ON CONFLICT (id) DO NOTHING RETURNING position", *_values(who, [(partner_id, entry, booked_on)])
    )
    return position


async def insert_all(connection: asyncpg.Connection, who: Actor, new: Iterable[tuple[UUID, NewEntry, date]]) -> None:
    """Add entries that are not there yet, one a partner: of each its partner, the entry and the day of booking."""
    await connection.execute(_INSERT, *_values(who, new))


def _values(who: Actor, new: Iterable[tuple[UUID, NewEntry, date]]) -> list[Any]:
    rows = [_row_from_entry(*each) for each in new]
    return [who.kind, who.id, who.name, *(list(column) for column in zip(*rows, strict=True))]


def _row_from_entry(partner_id: UUID, entry: NewEntry, booked_on: date) -> tuple[Any, ...]:
    return (
        entry.id,
        partner_id,
        entry.kind,
        entry.amount_minor,
        booked_on,
        entry.due_on or booked_on,
        entry.document,
        entry.external_id,
        entry.paid_on,
        msgspec.json.encode({str(charge_id): amount for charge_id, amount in entry.named.items()}).decode(),
        entry.bill_id,
        entry.reverses_id,
        entry.reason,
    )


async def read(connection: asyncpg.Connection, entry_id: UUID) -> AccountEntry | None:
    """One entry."""
    row = await connection.fetchrow(f"{_ENTRIES} WHERE account_entries.id = $1", entry_id)
    return _entry_from_row(row) if row else None


async def standing_write_off(connection: asyncpg.Connection, bill_id: UUID) -> AccountEntry | None:
    """The write-off of a bill that was not taken back."""
    row = await connection.fetchrow(
        f"{_ENTRIES} WHERE account_entries.bill_id = $1 AND account_entries.kind = 'write_off' AND reversal.id IS NULL",
        bill_id,
    )
    return _entry_from_row(row) if row else None


async def page(
    connection: asyncpg.Connection,
    kind: EntryKind,
    *,
    partner_id: UUID | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[AccountEntry]:
    """Entries of a kind, the newest first."""
    rows = await connection.fetch(
        f"""
        {_ENTRIES}
        WHERE account_entries.kind = $1 AND ($2::uuid IS NULL OR account_entries.partner_id = $2)
            AND ($3::timestamptz IS NULL OR (account_entries.entered_at, account_entries.id) < ($3, $4::uuid))
        ORDER BY account_entries.entered_at DESC, account_entries.id DESC LIMIT $5
        """,
        kind,
        partner_id,
        *(before or (None, None)),
        limit,
    )
    return [_entry_from_row(row) for row in rows]


def _entry_from_row(row: asyncpg.Record) -> AccountEntry:
    return AccountEntry(
        partner_id=row["partner_id"],
        partner=row["partner"],
        currency=row["currency"],
        entry=NewEntry(
            id=row["id"],
            kind=EntryKind(row["kind"]),
            amount_minor=row["amount_minor"],
            document=row["document"],
            due_on=row["due_on"],
            external_id=row["external_id"],
            paid_on=row["paid_on"],
            named={UUID(charge_id): amount for charge_id, amount in row["named"].items()},
            bill_id=row["bill_id"],
            reverses_id=row["reverses_id"],
            reason=row["reason"],
        ),
        booked_on=row["booked_on"],
        entered_at=row["entered_at"],
        who=actor_from_row(row),
        rest_minor=row["rest_minor"] or 0,
        reversal=_reversal_from_row(row),
    )


def _reversal_from_row(row: asyncpg.Record) -> Reversal | None:
    if row["reversed_at"] is None:
        return None
    who = actor_from_row(row, "reversal_who")
    return Reversal(row["reversed_at"], who, row["reversal_reason"])
