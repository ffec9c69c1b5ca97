"""Bringing a backup back: into an empty database, to the newest schema, with proof that it is what it was."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import asyncpg

from billing.bills.numbers import parts_of_number
from db.bills import numbers
from db.core import dump
from db.core.migrate import downgrade, knows, upgrade
from db.core.settings import Settings
from db.ledger import recount
from db.reports import inventory, live_report
from db.reports.report_files import folder_url, names_in, write_file
from scripts.errors import CannotStart
from scripts.operations.backup.location import Place, backup_errors_as_one_message
from scripts.operations.backup.manifest import Manifest
from scripts.operations.backup.server import connect, named_by, write_to
from scripts.operations.database import database_errors_as_one_message
from scripts.operations.progress import Progress

Numbered = tuple[str, str]
"""A prefix of numbers of bills, and the kind of document."""


@dataclass(frozen=True)
class Restored:
    """What came back, and how it differs from the backup, one message each.

    `passed_numbers` says which numbers of bills may have been given out since, `next_numbers` are those that come next.
    """

    manifest: Manifest
    differences: list[str]
    passed_numbers: list[str]
    next_numbers: list[str]


def restore(where: str, home: Path, progress: Progress, *, replace: bool, next_numbers: Sequence[str] = ()) -> Restored:
    """Restore a backup; nothing is changed if it is damaged or the database is not empty, unless `replace` says so.

    The schema is made as it was, filled in one transaction, and then migrated to the newest one. Numbers of bills go on
    after all that are in the database that is replaced, in the folder of files, or before one of `next_numbers`.
    """
    place, named = Place(where), _last_named(next_numbers)
    with backup_errors_as_one_message(place.where):
        manifest = place.read()
        asyncio.run(_require_whole(place, manifest, progress))
        with write_to(home) as settings:
            taken = asyncio.run(_make_room(settings, replace)) | _taken_by_files(settings) | named
            with database_errors_as_one_message(named_by()):
                downgrade(settings.database_url, "base")
                upgrade(settings.database_url, manifest.revision)
            asyncio.run(_fill(settings, place, manifest, progress))
            with database_errors_as_one_message(named_by()):
                upgrade(settings.database_url)
            passed, following = asyncio.run(_go_on_after(settings, taken))
            return Restored(manifest, asyncio.run(_differences(settings, manifest, progress)), passed, following)


async def _require_whole(place: Place, manifest: Manifest, progress: Progress) -> None:
    if not knows(manifest.revision):
        raise CannotStart(
            f"{place.where} was taken by a later release, with schema {manifest.revision}: restore it with that one."
        )
    progress("checksums")
    damaged = await place.damaged(manifest)
    if damaged:
        raise CannotStart(f"{damaged} of {place.where} is damaged; nothing was changed.")


async def _make_room(settings: Settings, replace: bool) -> Counter[Numbered]:
    """Empty the database; the last number of bills that it had for each prefix and kind."""
    connection = await connect(settings)
    try:
        revision = await dump.revision(connection)
        if revision is None and await dump.columns(connection):
            raise CannotStart("The database holds tables that are not Leadger's: name an empty one.")
        if revision is not None and not knows(revision):
            raise CannotStart(f"The database has schema {revision} of a later release: restore with that one.")
        if await dump.connected_processes(connection):
            raise CannotStart("Leadger works on this database: stop API and workers first.")
        used = await dump.used_tables(connection)
        if used and not replace:
            raise CannotStart(
                f"The database is not empty: it holds {', '.join(used)}. Name an empty one, or say --replace to lose "
                "what is in it."
            )
        async with connection.transaction():
            taken = Counter(await numbers.last_taken(connection))
            await dump.empty(connection)
        return taken
    finally:
        await connection.close()


def _last_named(next_numbers: Sequence[str]) -> Counter[Numbered]:
    last: Counter[Numbered] = Counter()
    for text in next_numbers:
        parts = parts_of_number(text)
        if parts is None:
            raise CannotStart(f"{text} is no number of a bill; they are like ACME-0011 and ACME-CN-0002.")
        last[parts[:2]] = parts[2] - 1
    return last


def _taken_by_files(settings: Settings) -> Counter[Numbered]:
    """The last number that has a file in the folder, which may have outlived the database."""
    last: Counter[Numbered] = Counter()
    for name in names_in(folder_url(settings), "bills/*/*.json"):
        if parts := parts_of_number(name.removesuffix(".json")):
            last |= Counter({parts[:2]: parts[2]})
    return last


async def _go_on_after(settings: Settings, taken: Counter[Numbered]) -> tuple[list[str], list[str]]:
    connection = await connect(settings)
    try:
        async with connection.transaction():
            passed = await numbers.go_on_after(connection, taken)
            last = await numbers.last_taken(connection)
        return passed, [numbers.written(*key, number + 1) for key, number in last.items()]
    finally:
        await connection.close()


async def _fill(settings: Settings, place: Place, manifest: Manifest, progress: Progress) -> None:
    moved = _bring_files(settings, place, manifest, progress)
    connection = await connect(settings)
    try:
        async with connection.transaction():
            tables = await dump.parents_first(connection, manifest.tables)
            await dump.empty(connection)
            await dump.disable_triggers(connection, tables)
            for name in tables:
                progress(name)
                entry = manifest.tables[name]
                count = await dump.copy_in(connection, name, entry.columns, place.rows(name))
                if count != entry.rows:
                    raise CannotStart(f"{count} of {entry.rows} rows of {name} came back; nothing was changed.")
            await dump.set_sequences(connection, manifest.sequences)
            await inventory.move_files(connection, moved)
            await dump.enable_triggers(connection, tables)
    finally:
        await connection.close()


def _bring_files(settings: Settings, place: Place, manifest: Manifest, progress: Progress) -> list[tuple[str, str]]:
    """Put the report files where this installation keeps them; returns their old and new addresses."""
    moved = []
    for file in manifest.files:
        *_, folder, month, name = file.url.rsplit("/", 3)
        below = f"bills/{month}" if folder == "bills" else month
        url = f"{folder_url(settings)}/{below}/{name}"
        progress(name)
        write_file(url, place.file(file.sha256))
        moved.append((file.url, url))
    if manifest.outbox:
        outbox = settings.home / "outbox"
        outbox.mkdir(mode=0o700, parents=True, exist_ok=True)
        for mail in manifest.outbox:
            (outbox / mail.url).touch(mode=0o600)
            (outbox / mail.url).write_bytes(b"".join(place.file(mail.sha256)))
    return moved


async def _differences(settings: Settings, manifest: Manifest, progress: Progress) -> list[str]:
    """One message for each report that is not what it was, or whose counters are not what its verdicts say."""
    connection = await connect(settings)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            progress("reports")
            return [
                difference
                for entry in manifest.reports
                for difference in await _report_differences(
                    connection, UUID(entry.partner_id), entry.period, entry.digest
                )
            ]
    finally:
        await connection.close()


async def _report_differences(connection: asyncpg.Connection, partner_id: UUID, period: int, digest: str) -> list[str]:
    report = await live_report.read(connection, partner_id, period)
    drift = await recount.drift(connection, partner_id, period)
    named = f"{report.partner} {period // 100}-{period % 100:02}"
    differences = []
    if report.digest != digest:
        differences.append(f"The report {named} has another digest than before.")
    if drift.count:
        differences.append(f"{drift.count} counters of {named} are not what the verdicts say: rebuild it.")
    return differences
