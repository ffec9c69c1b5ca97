"""Numbers of bills and credit notes (B7): gapless, because one is taken in the transaction that issues."""

from collections.abc import Mapping
from uuid import UUID

import asyncpg

from billing.bills.numbers import bill_number, credit_note_number, prefix_from_id
from db.contracts import billing_settings

_WRITTEN = {"bill": bill_number, "credit_note": credit_note_number}


async def take(connection: asyncpg.Connection, partner_id: UUID, external_id: str, kind: str) -> str:
    """The next number of a partner for a kind, `bill` or `credit_note`, under the lock of its bills."""
    prefix, first = await _prefix_and_first(connection, partner_id, external_id)
    number: int = await connection.fetchval(
        """
        INSERT INTO bill_numbers (partner_id, kind, next_number) VALUES ($1, $2, $3 + 1)
        ON CONFLICT (partner_id, kind) DO UPDATE SET next_number = bill_numbers.next_number + 1
        RETURNING next_number - 1
        """,
        partner_id,
        kind,
        first if kind == "bill" else 1,
    )
    return _WRITTEN[kind](prefix, number)


async def last_taken(connection: asyncpg.Connection) -> dict[tuple[str, str], int]:
    """The last number that was taken, by prefix and kind; nothing in a schema that has no numbers yet."""
    if await connection.fetchval("SELECT to_regclass('bill_numbers') IS NULL"):
        return {}
    rows = await connection.fetch(
        """
        SELECT number_prefix, kind, next_number - 1 AS last FROM bill_numbers JOIN billing_settings USING (partner_id)
        WHERE number_prefix IS NOT NULL ORDER BY number_prefix, kind
        """
    )
    return {(row["number_prefix"], row["kind"]): row["last"] for row in rows}


def written(prefix: str, kind: str, number: int) -> str:
    """How a number is written."""
    return _WRITTEN[kind](prefix, number)


async def go_on_after(connection: asyncpg.Connection, taken: Mapping[tuple[str, str], int]) -> list[str]:
    """Go on after numbers that were taken and are not on record here; one sentence for each prefix and kind."""
    here, passed = await last_taken(connection), []
    for (prefix, kind), last in sorted(taken.items()):
        first = here.get((prefix, kind), 0) + 1
        if last < first:
            continue
        known = await connection.fetchval(
            """
            INSERT INTO bill_numbers (partner_id, kind, next_number)
            SELECT partner_id, $2, $3 + 1 FROM billing_settings WHERE number_prefix = $1
            ON CONFLICT (partner_id, kind) DO UPDATE SET next_number = excluded.next_number RETURNING next_number
            """,
            prefix,
            kind,
            last,
        )
        lost = f"{written(prefix, kind, first)} to {written(prefix, kind, last)}"
        what = f"the next is {written(prefix, kind, known)}" if known else "no partner here has their prefix"
        passed.append(f"{lost} may have been given out and are not on record; {what}.")
    return passed


async def _prefix_and_first(connection: asyncpg.Connection, partner_id: UUID, external_id: str) -> tuple[str, int]:
    """The partner's prefix, and what its first bill is numbered; the default prefix is settled with the first number.

    Two partners that want the same default at the same time queue at its unique key, and the later one sees it taken.
    """
    settings = (await billing_settings.read_all(connection, [partner_id])).get(partner_id)
    first = (settings and settings.first_number) or 1
    if settings and settings.number_prefix:
        return settings.number_prefix, first
    taken: set[str] = set()
    while True:
        prefix = prefix_from_id(external_id, taken)
        if await _settle(connection, partner_id, prefix):
            return prefix, first
        taken.add(prefix)


async def _settle(connection: asyncpg.Connection, partner_id: UUID, prefix: str) -> bool:
    """Give the partner a prefix; False if another one has it."""
    if await connection.fetchval("SELECT EXISTS (SELECT FROM billing_settings WHERE number_prefix = $1)", prefix):
        return False
    try:
        async with connection.transaction():
            await connection.execute(
                """
                INSERT INTO billing_settings (partner_id, number_prefix) VALUES ($1, $2)
                ON CONFLICT (partner_id) DO UPDATE SET number_prefix = excluded.number_prefix
                """,
                partner_id,
                prefix,
            )
    except asyncpg.UniqueViolationError:
        return False
    return True
