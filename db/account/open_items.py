"""What is open and left of a partner's account, and the uses that change it (B9)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from uuid import UUID, uuid4

import asyncpg

from billing.bills.account import Charge, Credit, EntryKind, Use
from billing.bills.open_items import OpenItems


async def read(connection: asyncpg.Connection, partner_id: UUID, also: Iterable[UUID] = ()) -> OpenItems:
    """All that is open or left, under the lock of the partner's bills; and other entries, whatever is left of them."""
    rows = await connection.fetch(
        """
        SELECT account_entries.id, position, account_entries.due_on, amount_minor, rest_minor,
            bills.dispute IS NOT NULL AS is_disputed
        FROM account_rests JOIN account_entries ON account_entries.id = entry_id
        LEFT JOIN bills ON bills.id = account_entries.id
        WHERE (account_rests.partner_id = $1 AND rest_minor > 0) OR entry_id = ANY($2::uuid[])
        """,
        partner_id,
        list(also),
    )
    items = OpenItems()
    for row in rows:
        items.add(
            item(row["id"], row["amount_minor"], row["due_on"], row["position"], row["rest_minor"], row["is_disputed"])
        )
    return items


def item(
    entry_id: UUID, amount_minor: int, due_on: date, position: int, rest_minor: int, is_disputed: bool = False
) -> Charge | Credit:
    """An entry as a charge or, if it adds nothing to the account, as a credit."""
    if amount_minor > 0:
        return Charge(entry_id, due_on, position, rest_minor, is_disputed)
    return Credit(entry_id, position, rest_minor)


async def uses_of(connection: asyncpg.Connection, entry_id: UUID) -> list[Use]:
    """What an entry covers, or what covers it, in sum."""
    rows = await connection.fetch(
        """
        SELECT credit_id, charge_id, sum(amount_minor)::bigint AS amount_minor FROM account_uses
        WHERE credit_id = $1 OR charge_id = $1 GROUP BY credit_id, charge_id HAVING sum(amount_minor) <> 0
        ORDER BY min(entered_at), credit_id, charge_id
        """,
        entry_id,
    )
    return [Use(row["credit_id"], row["charge_id"], row["amount_minor"]) for row in rows]


@dataclass(frozen=True, slots=True)
class OtherSide:
    """What an entry covers, or what covers it, with the amount."""

    id: UUID
    kind: EntryKind
    document: str
    amount_minor: int


async def other_sides(connection: asyncpg.Connection, entry_ids: Iterable[UUID]) -> dict[UUID, list[OtherSide]]:
    """What each of these entries covers, or what covers it, as it was booked; nothing for those without uses."""
    rows = await connection.fetch(
        """
        SELECT wanted.id AS entry_id, other.id, other.kind, other.document,
            sum(uses.amount_minor)::bigint AS amount_minor
        FROM unnest($1::uuid[]) AS wanted (id), LATERAL (
            SELECT charge_id AS other_id, amount_minor FROM account_uses WHERE credit_id = wanted.id
            UNION ALL SELECT credit_id, amount_minor FROM account_uses WHERE charge_id = wanted.id
        ) AS uses
        JOIN account_entries AS other ON other.id = other_id
        GROUP BY wanted.id, other.id HAVING sum(uses.amount_minor) <> 0 ORDER BY wanted.id, other.position
        """,
        list(entry_ids),
    )
    found: dict[UUID, list[OtherSide]] = {}
    for row in rows:
        side = OtherSide(row["id"], EntryKind(row["kind"]), row["document"], row["amount_minor"])
        found.setdefault(row["entry_id"], []).append(side)
    return found


async def add(connection: asyncpg.Connection, rests: Iterable[tuple[UUID, UUID, int]]) -> None:
    """Keep what is open or left of new entries: of each its partner, its id and the amount."""
    new = list(rests)
    await connection.execute(
        """
        INSERT INTO account_rests (partner_id, entry_id, rest_minor)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[])
        """,
        *([each[place] for each in new] for place in range(3)),
    )


async def write(connection: asyncpg.Connection, uses: Iterable[Use], booked_on: date) -> None:
    """Store uses, and what they leave open and left."""
    rows = [(uuid4(), use.credit, use.charge, use.amount_minor, booked_on) for use in uses]
    await connection.executemany(
        "INSERT INTO account_uses (id, credit_id, charge_id, amount_minor, booked_on) VALUES ($1, $2, $3, $4, $5)", rows
    )
    await connection.executemany(
        "UPDATE account_rests SET rest_minor = rest_minor - $2 WHERE entry_id = $1",
        [(entry_id, amount) for _, *both, amount, _ in rows for entry_id in both],
    )


async def clear(connection: asyncpg.Connection, entry_id: UUID) -> None:
    """Let nothing be open or left of an entry, because it is reversed."""
    await connection.execute("UPDATE account_rests SET rest_minor = 0 WHERE entry_id = $1", entry_id)
