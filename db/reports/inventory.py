"""Which reports there are and which files were written of them and of bills, for backups."""

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
    rows = await connection.fetch(
        """
        SELECT url, sha256, size_bytes FROM billing_report_files UNION SELECT url, sha256, size_bytes FROM bill_files
        ORDER BY url
        """
    )
    return [StoredFile(row["url"], row["sha256"], row["size_bytes"]) for row in rows]


async def move_files(connection: asyncpg.Connection, moves: Iterable[tuple[str, str]]) -> None:
    """Store the new addresses of files that were moved; `moves` are pairs of the old and the new one."""
    pairs = list(moves)
    await connection.executemany("UPDATE billing_report_files SET url = $2 WHERE url = $1", pairs)
    if await connection.fetchval("SELECT to_regclass('bill_files') IS NOT NULL"):  # else the schema is older
        await connection.executemany("UPDATE bill_files SET url = $2 WHERE url = $1", pairs)
