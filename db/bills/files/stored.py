"""The files of issued bills as they are stored: made once, by a task, from what the seal proves."""

import asyncio
from collections.abc import Iterable, Sequence
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


async def make(settings: Settings, bill: Bill, kinds: Iterable[BillFormat] = BillFormat) -> list[StoredFile]:
    """Make and write files of an issued bill; the same bytes every time. Raises FileUnavailable."""
    return await asyncio.to_thread(lambda: [_make(settings, bill, kind) for kind in kinds])


def _make(settings: Settings, bill: Bill, kind: BillFormat) -> StoredFile:
    assert bill.issue is not None
    content = file_from_bill(bill.content, bill.issue, kind)
    url = f"{folder_url(settings)}/bills/{bill.head.id}/{bill.issue.number}.{kind}"
    write_file(url, [content])
    return StoredFile(kind, url, len(content), sha256(content).hexdigest())


async def remember(connection: asyncpg.Connection, bill_id: UUID, files: Sequence[StoredFile]) -> None:
    """Store where files are; made again, each is the same file in the same or another place."""
    await connection.execute(
        """
        INSERT INTO bill_files (bill_id, format, url, size_bytes, sha256)
        SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[])
        ON CONFLICT (bill_id, format) DO UPDATE SET url = excluded.url, size_bytes = excluded.size_bytes,
            sha256 = excluded.sha256
        """,
        bill_id,
        [file.format for file in files],
        [file.url for file in files],
        [file.size_bytes for file in files],
        [file.sha256 for file in files],
    )


async def read(connection: asyncpg.Connection, bill_id: UUID) -> list[StoredFile]:
    """The files of a bill; none before the task has made them."""
    rows = await connection.fetch(
        "SELECT format, url, size_bytes, sha256 FROM bill_files WHERE bill_id = $1 ORDER BY format", bill_id
    )
    return [StoredFile(BillFormat(row["format"]), row["url"], row["size_bytes"], row["sha256"]) for row in rows]
