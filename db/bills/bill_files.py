"""The files of issued bills: which there are, and where."""

from typing import Any
from uuid import UUID

import asyncpg


async def read(connection: asyncpg.Connection, bill_id: UUID) -> list[dict[str, Any]]:
    """Format, place and checksum of each file of a bill."""
    rows = await connection.fetch(
        "SELECT format, url, sha256, size_bytes FROM bill_files WHERE bill_id = $1 ORDER BY format", bill_id
    )
    return [dict(row) for row in rows]
