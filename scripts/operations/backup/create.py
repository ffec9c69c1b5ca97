"""Taking a backup: one snapshot of every table, the files, and a manifest, while Leadger goes on."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg

from db.core import dump, locks
from db.core.settings import Settings
from db.reports import inventory, live_report
from db.reports.report_files import read_file
from scripts.errors import CannotStart
from scripts.operations.backup.location import Place, backup_errors_as_one_message, checksum
from scripts.operations.backup.manifest import FORMAT, FileEntry, Manifest, ReportEntry, TableEntry
from scripts.operations.backup.server import connect, read_from
from scripts.operations.progress import Progress


def back_up(where: str, home: Path, progress: Progress) -> tuple[str, Manifest]:
    """Write a new backup below a folder or bucket; returns its place and its manifest."""
    place = Place(f"{where.rstrip('/')}/leadger-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    with read_from(home) as settings, backup_errors_as_one_message(place.where):
        return place.where, asyncio.run(_back_up(settings, place, progress))


async def _back_up(settings: Settings, place: Place, progress: Progress) -> Manifest:
    connection = await connect(settings)
    try:
        await locks.lock_schema_shared(connection)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            manifest = await _snapshot(connection, place, progress)
        await _keep_files(manifest, place, progress)
        manifest.outbox = [_keep_mail(mail, place) for mail in sorted((settings.home / "outbox").glob("*.eml"))]
        place.write(manifest)
        return manifest
    finally:
        await connection.close()


async def _snapshot(connection: asyncpg.Connection, place: Place, progress: Progress) -> Manifest:
    """Everything in the database at one instant."""
    revision = await dump.revision(connection)
    if revision is None:
        raise CannotStart("The database has no tables of Leadger's: there is nothing to back up.")
    taken_at = await dump.snapshot_at(connection)
    place.make()
    tables = {}
    for name, columns in (await dump.columns(connection)).items():
        progress(name)
        with place.new_table(name) as rows:
            count = await dump.copy_out(connection, name, columns, rows.write)
        tables[name] = TableEntry(columns, count, rows.sha256)
    progress("reports")
    return Manifest(
        format=FORMAT,
        taken_at=taken_at,
        revision=revision,
        tables=tables,
        sequences=await dump.sequences(connection),
        files=[FileEntry(file.url, file.sha256, file.size_bytes) for file in await inventory.files(connection)],
        lost_files=[],
        reports=[await _report(connection, *report) for report in await inventory.reports(connection)],
    )


async def _report(connection: asyncpg.Connection, partner_id: UUID, period: int) -> ReportEntry:
    return ReportEntry(str(partner_id), period, (await live_report.read(connection, partner_id, period)).digest)


def _keep_mail(mail: Path, place: Place) -> FileEntry:
    content = mail.read_bytes()
    entry = FileEntry(mail.name, checksum([content]), len(content))
    place.add_file(entry.sha256, [content])
    return entry


async def _keep_files(manifest: Manifest, place: Place, progress: Progress) -> None:
    """Copy the report files; one that is gone or damaged is named, and keeps no other from being kept."""
    kept = []
    for file in manifest.files:
        progress(file.url.rpartition("/")[2])
        try:
            place.add_file(file.sha256, read_file(file.url))
        except FileNotFoundError:
            manifest.lost_files.append(file.url)
            continue
        if checksum(place.file(file.sha256)) == file.sha256:
            kept.append(file)
        else:
            manifest.lost_files.append(file.url)
    manifest.files = kept
