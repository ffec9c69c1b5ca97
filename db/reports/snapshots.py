"""Writing the next version of a report with its files."""

import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from hashlib import file_digest
from tempfile import SpooledTemporaryFile
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.identity import report_uuid
from billing.money import amount_from_minor
from billing.periods import text_from_period
from billing.webhooks.events import Event
from db.core import locks
from db.core.engine import transaction
from db.core.errors import FileUnavailable
from db.core.settings import Settings
from db.outgoing import events
from db.reports import file_removals, live_report, report_versions
from db.reports.formats import FORMATS, blocks
from db.reports.live_report import Report
from db.reports.report_files import file_errors, folder_url, spool, write_file
from db.reports.report_versions import ReportFile
from db.telemetry import counters
from db.telemetry.counters import PEOPLE_ERASED

_BLOCK_BYTES = 1024 * 1024


class _ErasedMeanwhile(Exception):
    """Rolls back: somebody was erased while the files were written."""


async def snapshot(engine: AsyncEngine, settings: Settings, partner_id: UUID, period: int) -> int | None:
    """Write the next version of a report with its files; None if nothing changed since the last one.

    A version that a run wrote without files gets them now, and is returned.

    The files are written first and recorded with the version in one transaction, so a recorded file is always complete.
    If somebody was erased in between, the files may still show their name and are written again. Files that are not
    recorded in the end are removed later.
    """
    async with transaction(engine, readonly=True) as connection:
        report = await live_report.read(connection, partner_id, period)
        if await _is_written(connection, report):
            return None
    urls = new_urls(settings, report.report_id, period)
    async with transaction(engine) as connection:
        await file_removals.plan(connection, report.report_id, urls.values(), file_removals.UNFINISHED_AFTER)
    async with transaction(engine, readonly=True) as connection:
        await locks.lock_names_shared(connection)
        erasures = await counters.one(connection, PEOPLE_ERASED)
        report = await live_report.read(connection, partner_id, period)
        if await _is_written(connection, report):
            return None
        files = await write_files(connection, report, urls, settings)
    try:
        async with transaction(engine) as connection:
            await locks.lock_names_shared(connection)
            if await counters.one(connection, PEOPLE_ERASED) != erasures:
                raise _ErasedMeanwhile
            if await _is_written(connection, report):
                return None
            if not await file_removals.keep(connection, urls.values()):
                raise FileUnavailable(f"Writing the files of report {report.report_id} took too long.")
            version = await _version_for(connection, report)
            await report_versions.add_files(connection, report.report_id, version, files)
            if report.final:
                await _tell(connection, report, version)
            return version
    except asyncpg.UniqueViolationError:  # another worker wrote this version at the same time
        return None
    except _ErasedMeanwhile:
        return await snapshot(engine, settings, partner_id, period)


async def _tell(connection: asyncpg.Connection, report: Report, version: int) -> None:
    data = {
        "report_id": report.report_id,
        "version": version,
        "partner": report.partner,
        "period": text_from_period(report.period),
        "currency": report.currency,
        "digest": report.digest,
        "billed": amount_from_minor(report.totals.billed_minor),
        "credited": amount_from_minor(report.credited_minor),
        "net": amount_from_minor(report.totals.billed_minor - report.credited_minor),
    }
    await events.tell(connection, Event.REPORT_READY, data, report.partner_id)


async def _is_written(connection: asyncpg.Connection, report: Report) -> bool:
    """Whether the last version says the same and has its files."""
    if await report_versions.last_written(connection, report.report_id) != (report.digest, report.final):
        return False
    return await report_versions.newest_without_files(connection, report.report_id) is None


async def _version_for(connection: asyncpg.Connection, report: Report) -> int:
    """The version that gets the files: the last one if it says the same, else a new one."""
    if await report_versions.last_written(connection, report.report_id) == (report.digest, report.final):
        without = await report_versions.newest_without_files(connection, report.report_id)
        assert without is not None
        return without
    return await report_versions.add(connection, report)


def new_urls(settings: Settings, report_id: UUID, period: int) -> dict[str, str]:
    """Where the files of a version go, by format: names that no other version has."""
    name = f"{text_from_period(period)}/{report_id}-{secrets.token_hex(8)}"
    return {kind: f"{folder_url(settings)}/{name}.{kind}" for kind in FORMATS}


async def drop_replaced(engine: AsyncEngine, partner_id: UUID, period: int) -> int:
    """Drop the versions of an open month that later ones of their day replaced; returns how many."""
    async with transaction(engine) as connection:
        return await report_versions.drop_replaced(connection, report_uuid(partner_id, period))


async def write_files(
    connection: asyncpg.Connection, report: Report, urls: Mapping[str, str], settings: Settings
) -> list[ReportFile]:
    """Write a report in every format, in one pass over its lines, without recording the files."""
    with ExitStack() as stack:
        spools = [stack.enter_context(spool(settings)) for _ in FORMATS]
        async for texts in blocks(connection, report, list(FORMATS.values())):
            with file_errors(str(settings.home)):
                for file, text in zip(spools, texts, strict=True):
                    file.write(text.encode())
        return [_store(kind, urls[kind], file) for kind, file in zip(FORMATS, spools, strict=True)]


def _store(kind: str, url: str, file: SpooledTemporaryFile[bytes]) -> ReportFile:
    size = file.tell()
    file.seek(0)
    digest = file_digest(file, "sha256").hexdigest()
    file.seek(0)
    write_file(url, iter(partial(file.read, _BLOCK_BYTES), b""))
    return ReportFile(kind, url, size, digest)
