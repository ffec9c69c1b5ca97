"""What a backup holds: its manifest, written last, so that a folder without one is no backup."""

from datetime import datetime

import msgspec

NAME = "manifest.json"
FORMAT = 1


class TableEntry(msgspec.Struct):
    """One table, in `tables/NAME.gz`; the checksum is of the rows before they were packed."""

    columns: list[str]
    rows: int
    sha256: str


class FileEntry(msgspec.Struct):
    """One file of a report, a bill or the outbox, in `files/SHA256`, and where it lay."""

    url: str
    sha256: str
    size_bytes: int


class ReportEntry(msgspec.Struct):
    """One live report as it was."""

    partner_id: str
    period: int
    digest: str


class Manifest(msgspec.Struct):
    """Everything in a backup, and what it must give when it is restored."""

    format: int
    taken_at: datetime
    revision: str
    tables: dict[str, TableEntry]
    sequences: dict[str, tuple[int, bool]]
    files: list[FileEntry]
    lost_files: list[str]
    """Addresses of report files that were on record and not there, or not as recorded."""
    reports: list[ReportEntry]
    outbox: list[FileEntry] = []
    """Mails that no server was named for; `url` is the name of the file. Older backups have none."""

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(table.rows for table in self.tables.values())
