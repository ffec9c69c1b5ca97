"""Writing versions of reports, each with its files in a local folder or in S3."""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from hashlib import file_digest
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any
from uuid import UUID

import asyncpg
import fsspec
from botocore.exceptions import BotoCoreError
from fsspec.implementations.local import LocalFileSystem
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.periods import text_from_period
from db.core import locks
from db.core.engine import transaction
from db.core.errors import FileUnavailable
from db.core.settings import Settings
from db.privacy.erasure import ERASURES
from db.reports import figures
from db.reports.formats import FORMATS, blocks
from db.telemetry import counters

_IN_MEMORY_BYTES = 8 * 1024 * 1024
_BLOCK_BYTES = 1024 * 1024
PART = ".part"
"""What the name of a file ends with while it is written."""


class _ErasedMeanwhile(Exception):
    """Rolls the record of files back that may show an erased person."""


async def snapshot(engine: AsyncEngine, settings: Settings, partner_id: UUID, period: int) -> int | None:
    """Write the next version of a report with its files; None if nothing changed since the last one.

    The files are written first and recorded with the version in one transaction, so a recorded file is always whole.
    If somebody was erased in between, the files may show a name that they must not, and are written again.
    """
    async with transaction(engine, readonly=True) as connection:
        await locks.lock_names_shared(connection)
        erasures = await counters.one(connection, ERASURES)
        report = await figures.live(connection, partner_id, period)
        if await figures.last_written(connection, report.report_id) == (report.digest, report.final):
            return None
        files = await _write(settings, connection, report)
    try:
        async with transaction(engine) as connection:
            await locks.lock_names_shared(connection)
            if await counters.one(connection, ERASURES) != erasures:
                raise _ErasedMeanwhile
            if await figures.last_written(connection, report.report_id) == (report.digest, report.final):
                return None
            version = await figures.add_version(connection, report)
            await figures.add_files(connection, report.report_id, version, files)
            return version
    except asyncpg.UniqueViolationError:  # another worker wrote this version in the same moment
        return None
    except _ErasedMeanwhile:
        return await snapshot(engine, settings, partner_id, period)


async def _write(settings: Settings, connection: asyncpg.Connection, report: figures.Report) -> list[dict[str, Any]]:
    with ExitStack() as until_stored:
        spools = [until_stored.enter_context(SpooledTemporaryFile(_IN_MEMORY_BYTES)) for _ in FORMATS]
        async for texts in blocks(connection, report, list(FORMATS.values())):
            for spool, text in zip(spools, texts, strict=True):
                spool.write(text.encode())
        return [_store(settings, report, kind, spool) for kind, spool in zip(FORMATS, spools, strict=True)]


def _store(settings: Settings, report: figures.Report, kind: str, spool: SpooledTemporaryFile[bytes]) -> dict[str, Any]:
    size = spool.tell()
    spool.seek(0)
    digest = file_digest(spool, "sha256").hexdigest()
    spool.seek(0)
    name = f"{text_from_period(report.period)}/{report.report_id}-{digest[:16]}.{kind}"
    url = f"{folder_url(settings)}/{name}"
    write_file(url, iter(partial(spool.read, _BLOCK_BYTES), b""))
    return {"format": kind, "url": url, "size_bytes": size, "sha256": digest}


def folder_url(settings: Settings) -> str:
    """Where report files go, as a URL without a slash at its end."""
    if settings.report_files_url:
        return settings.report_files_url.rstrip("/")
    return (Path(settings.home) / "reports").absolute().as_uri()


@contextmanager
def file_errors(url: str) -> Iterator[None]:
    """Raise FileUnavailable for what the file system or S3 refuses."""
    try:
        yield
    except (OSError, BotoCoreError) as error:
        raise _unavailable(url, error) from error


def _unavailable(url: str, error: Exception) -> FileUnavailable:
    return FileUnavailable(f"The report file {url} cannot be read or written just now: {error}.")


def write_file(url: str, blocks: Iterable[bytes]) -> None:
    """Write a file, whole or not at all; one that is there is replaced. FileUnavailable if that is not possible."""
    with file_errors(url):
        _write_file(url, blocks)


def _write_file(url: str, blocks: Iterable[bytes]) -> None:
    files, path = fsspec.core.url_to_fs(url)
    if not isinstance(files, LocalFileSystem):  # what goes to S3 appears when it is complete
        with files.open(path, "wb") as target:
            target.writelines(blocks)
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    # A name of its own, because two workers may write the same file at the same time.
    part = Path(f"{path}.{secrets.token_hex(8)}{PART}")
    try:
        with part.open("wb") as target:
            target.writelines(blocks)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_file(url: str) -> Iterator[bytes]:
    """A recorded file, block by block. FileNotFoundError at once if it is gone, or FileUnavailable."""
    try:
        source = fsspec.open(url, "rb").open()
    except FileNotFoundError:
        raise
    except (OSError, BotoCoreError) as error:
        raise _unavailable(url, error) from error

    def blocks() -> Iterator[bytes]:
        with source:
            while block := source.read(_BLOCK_BYTES):
                yield block

    return blocks()
