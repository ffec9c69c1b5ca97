"""Writing the next version of a report with its files."""

from contextlib import ExitStack
from functools import partial
from hashlib import file_digest
from tempfile import SpooledTemporaryFile
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.periods import text_from_period
from db.core import locks
from db.core.engine import transaction
from db.core.settings import Settings
from db.reports import live_report, report_versions
from db.reports.formats import FORMATS, blocks
from db.reports.live_report import Report
from db.reports.report_files import folder_url, write_file
from db.reports.report_versions import ReportFile
from db.telemetry import counters
from db.telemetry.counters import PEOPLE_ERASED

_IN_MEMORY_BYTES = 8 * 1024 * 1024
_BLOCK_BYTES = 1024 * 1024


class _ErasedMeanwhile(Exception):
    """Rolls back: somebody was erased while the files were written."""


async def snapshot(engine: AsyncEngine, settings: Settings, partner_id: UUID, period: int) -> int | None:
    """Write the next version of a report with its files; None if nothing changed since the last one.

    The files are written first and recorded with the version in one transaction, so a recorded file is always complete.
    If somebody was erased in between, the files may still show their name and are written again.
    """
    async with transaction(engine, readonly=True) as connection:
        await locks.lock_names_shared(connection)
        erasures = await counters.one(connection, PEOPLE_ERASED)
        report = await live_report.read(connection, partner_id, period)
        if await report_versions.last_written(connection, report.report_id) == (report.digest, report.final):
            return None
        files = await write_files(settings, connection, report)
    try:
        async with transaction(engine) as connection:
            await locks.lock_names_shared(connection)
            if await counters.one(connection, PEOPLE_ERASED) != erasures:
                raise _ErasedMeanwhile
            if await report_versions.last_written(connection, report.report_id) == (report.digest, report.final):
                return None
            version = await report_versions.add(connection, report)
            await report_versions.add_files(connection, report.report_id, version, files)
            return version
    except asyncpg.UniqueViolationError:  # another worker wrote this version at the same time
        return None
    except _ErasedMeanwhile:
        return await snapshot(engine, settings, partner_id, period)


async def write_files(settings: Settings, connection: asyncpg.Connection, report: Report) -> list[ReportFile]:
    """Write a report in every format, in one pass over its lines, without recording the files."""
    with ExitStack() as stack:
        spools = [stack.enter_context(SpooledTemporaryFile(_IN_MEMORY_BYTES)) for _ in FORMATS]
        async for texts in blocks(connection, report, list(FORMATS.values())):
            for spool, text in zip(spools, texts, strict=True):
                spool.write(text.encode())
        return [_store(settings, report, kind, spool) for kind, spool in zip(FORMATS, spools, strict=True)]


def _store(settings: Settings, report: Report, kind: str, spool: SpooledTemporaryFile[bytes]) -> ReportFile:
    size = spool.tell()
    spool.seek(0)
    digest = file_digest(spool, "sha256").hexdigest()
    spool.seek(0)
    name = f"{text_from_period(report.period)}/{report.report_id}-{digest[:16]}.{kind}"
    url = f"{folder_url(settings)}/{name}"
    write_file(url, iter(partial(spool.read, _BLOCK_BYTES), b""))
    return ReportFile(kind, url, size, digest)
