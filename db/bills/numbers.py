"""Numbers of bills and credit notes (B7): gapless, because one is taken in the transaction that issues."""

from collections.abc import Mapping
from uuid import UUID

import asyncpg

from billing.bills.numbers import bill_number, credit_note_number, prefix_from_id
from db.contracts import billing_settings

_WRITTEN = {"bill": bill_number, "credit_note": credit_note_number}
_NOBODY = "no partner here has their prefix, so give whoever had them a number_prefix and first_number"


async def take(connection: asyncpg.Connection, partner_id: UUID, external_id: str, kind: str) -> str:
    """The next number of a partner for a kind, `bill` or `credit_note`, under the lock of its bills."""
    return (await take_all(connection, {partner_id: external_id}, kind))[partner_id]


async def take_all(connection: asyncpg.Connection, partners: Mapping[UUID, str], kind: str) -> dict[UUID, str]:
    """The same of each partner, given with its external id; the locks of their bills are held."""
    settings = await billing_settings.read_all(connection, partners)
    prefixes = {of: each.number_prefix for of, each in settings.items() if each.number_prefix}
    prefixes |= await _settle_prefixes(connection, {of: name for of, name in partners.items() if of not in prefixes})
    first = {of: each.first_number for of, each in settings.items() if each.first_number and kind == "bill"}
    rows = await connection.fetch(
        """
        INSERT INTO bill_numbers (partner_id, kind, next_number)
        SELECT partner_id, $3, first + 1 FROM unnest($1::uuid[], $2::bigint[]) AS taken (partner_id, first)
        ON CONFLICT (partner_id, kind) DO UPDATE SET next_number = bill_numbers.next_number + 1
        RETURNING partner_id, next_number - 1 AS number
        """,
        list(partners),
        [first.get(partner_id, 1) for partner_id in partners],
        kind,
    )
    return {row["partner_id"]: _WRITTEN[kind](prefixes[row["partner_id"]], row["number"]) for row in rows}


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
        await _give_back(connection, prefix)
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
        what = f"the next is {written(prefix, kind, known)}" if known else _NOBODY
        passed.append(f"{lost} may have been given out and are not on record; {what}.")
    return passed


async def _give_back(connection: asyncpg.Connection, prefix: str) -> None:
    """Settle a prefix that nobody has for the partner whose default it is: its first number is gone, too."""
    if await connection.fetchval("SELECT EXISTS (SELECT FROM billing_settings WHERE number_prefix = $1)", prefix):
        return
    rows = await connection.fetch(
        """
        SELECT id, external_id FROM partners LEFT JOIN billing_settings ON partner_id = id WHERE number_prefix IS NULL
        """
    )
    owners = [row["id"] for row in rows if prefix_from_id(row["external_id"], ()) == prefix]
    if len(owners) == 1:
        await _are_free(connection, {owners[0]: prefix})


async def _settle_prefixes(connection: asyncpg.Connection, partners: Mapping[UUID, str]) -> dict[UUID, str]:
    """Give partners without a prefix the default one, which is settled with their first number.

    Two that want the same one at the same time queue at its unique key, and the later one sees it taken.
    """
    taken: set[str] = set()
    while partners:
        prefixes: dict[UUID, str] = {}
        for partner_id, external_id in partners.items():
            prefixes[partner_id] = prefix_from_id(external_id, taken.union(prefixes.values()))
        rows = await connection.fetch(
            "SELECT number_prefix FROM billing_settings WHERE number_prefix = ANY($1::text[])", list(prefixes.values())
        )
        taken |= {row["number_prefix"] for row in rows}
        if not rows and await _are_free(connection, prefixes):
            return prefixes
    return {}


async def _are_free(connection: asyncpg.Connection, prefixes: Mapping[UUID, str]) -> bool:
    """Store prefixes; False if another transaction has taken one of them."""
    try:
        async with connection.transaction():
            await connection.execute(
                """
                INSERT INTO billing_settings (partner_id, number_prefix)
                SELECT * FROM unnest($1::uuid[], $2::text[]) AS settled (partner_id, prefix) ORDER BY prefix
                ON CONFLICT (partner_id) DO UPDATE SET number_prefix = excluded.number_prefix
                """,
                list(prefixes),
                list(prefixes.values()),
            )
    except asyncpg.UniqueViolationError:
        return False
    return True
