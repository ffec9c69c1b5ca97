"""Numbers of bills and credit notes (B7): gapless, because one is taken in the transaction that issues."""

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
