"""The files of issued bills as they are stored: made once, by a task, from what the seal proves."""

import asyncio
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

import asyncpg

from db.bills.files.formats import BillFormat, file_from_bill
from db.bills.records import Bill
from db.core.settings import Settings
from db.reports.report_files import folder_url, write_file

MAKE = "bill_files"
"""The kind of the background task that makes them."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file: its place, which is no address for callers, its size and checksum."""

    format: BillFormat
    url: str
    size_bytes: int
    sha256: str


async def make(settings: Settings, bill: Bill, kind: BillFormat) -> StoredFile:
    """Make and write one file of an issued bill; the same bytes every time. Raises FileUnavailable."""
    assert bill.issue is not None
    content = await asyncio.to_thread(file_from_bill, bill.content, bill.issue, kind)
    url = f"{folder_url(settings)}/bills/{bill.head.id}/{bill.issue.number}.{kind}"
    await asyncio.to_thread(write_file, url, [content])
    return StoredFile(kind, url, len(content), sha256(content).hexdigest())


async def remember(connection: asyncpg.Connection, bill_id: UUID, file: StoredFile) -> None:
    """Store where a file is; made again, it is the same file in the same or another place."""
    await connection.execute(
        """
        INSERT INTO bill_files (bill_id, format, url, size_bytes, sha256) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (bill_id, format) DO UPDATE SET url = excluded.url, size_bytes = excluded.size_bytes,
            sha256 = excluded.sha256
        """,
        bill_id,
        file.format,
        file.url,
        file.size_bytes,
        file.sha256,
    )


async def read(connection: asyncpg.Connection, bill_id: UUID) -> list[StoredFile]:
    """The files of a bill; none before the task has made them."""
    rows = await connection.fetch(
        "SELECT format, url, size_bytes, sha256 FROM bill_files WHERE bill_id = $1 ORDER BY format", bill_id
    )
    return [StoredFile(BillFormat(row["format"]), row["url"], row["size_bytes"], row["sha256"]) for row in rows]
