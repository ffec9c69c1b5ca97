"""Which reports there are, and which files were written of them and of bills, for backups."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

import asyncpg


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a report or a bill: its address, the SHA-256 of its bytes in hexadecimal, its size."""

    url: str
    sha256: str
    size_bytes: int


async def reports(connection: asyncpg.Connection) -> list[tuple[UUID, int]]:
    """Each partner and period (YYYYMM) that has figures."""
    rows = await connection.fetch("SELECT DISTINCT partner_id, period FROM product_periods ORDER BY 1, 2")
    return [(row["partner_id"], row["period"]) for row in rows]


async def files(connection: asyncpg.Connection) -> list[StoredFile]:
    """Each file once, in the order of the addresses."""
    tables = await _tables(connection)
    every = " UNION ".join(f"SELECT url, sha256, size_bytes FROM {table}" for table in tables)  # noqa: S608 - of ours
    rows = await connection.fetch(f"{every} ORDER BY url")
    return [StoredFile(row["url"], row["sha256"], row["size_bytes"]) for row in rows]


async def move_files(connection: asyncpg.Connection, moves: Iterable[tuple[str, str]]) -> None:
    """Store the new addresses of files that were moved; `moves` are pairs of the old and the new one."""
    pairs = list(moves)
    for table in await _tables(connection):
        await connection.executemany(f"UPDATE {table} SET url = $2 WHERE url = $1", pairs)  # noqa: S608 - of ours


async def _tables(connection: asyncpg.Connection) -> list[str]:
    """The tables of files; an older schema has no bills."""
    has_bills = await connection.fetchval("SELECT to_regclass('bill_files') IS NOT NULL")
    return ["billing_report_files", *(["bill_files"] if has_bills else [])]
