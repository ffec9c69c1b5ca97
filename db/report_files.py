"""Writing versions of reports, each with its files in a local folder or in S3."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import fsspec
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.periods import text_from_period
from db import reports
from db.engine import transaction
from db.report_text import csv_text, markdown_text
from db.settings import Settings

_RENDERERS = {"csv": csv_text, "md": markdown_text}
_BLOCK_BYTES = 1024 * 1024


async def snapshot(engine: AsyncEngine, settings: Settings, partner_id: UUID, period: int) -> int | None:
    """Write the next version of a report with its files; None if nothing changed since the last one.

    The files are written first and recorded with the version in one transaction, so a recorded file is always whole.
    """
    async with transaction(engine, readonly=True) as connection:
        report = await reports.live(connection, partner_id, period)
        if await reports.last_written(connection, report.report_id) == (report.digest, report.final):
            return None
        files = [
            await _write(settings, report, kind, render(connection, report)) for kind, render in _RENDERERS.items()
        ]
    try:
        async with transaction(engine) as connection:
            if await reports.last_written(connection, report.report_id) == (report.digest, report.final):
                return None
            version = await reports.add_version(connection, report)
            await reports.add_files(connection, report.report_id, version, files)
            return version
    except asyncpg.UniqueViolationError:  # another worker wrote this version in the same moment
        return None


async def _write(settings: Settings, report: reports.Report, kind: str, text: AsyncIterator[str]) -> dict[str, Any]:
    digest, size = sha256(), 0
    with tempfile.SpooledTemporaryFile(max_size=8 * 1024 * 1024) as spool:
        async for part in text:
            data = part.encode()
            digest.update(data)
            size += len(data)
            spool.write(data)
        spool.seek(0)
        name = f"{text_from_period(report.period)}/{report.report_id}-{digest.hexdigest()[:16]}.{kind}"
        url = f"{folder_url(settings)}/{name}"
        with fsspec.open(url, "wb", **({"auto_mkdir": True} if url.startswith("file:") else {})) as target:
            while block := spool.read(_BLOCK_BYTES):
                target.write(block)
    return {"format": kind, "url": url, "size_bytes": size, "sha256": digest.hexdigest()}


def folder_url(settings: Settings) -> str:
    """Where report files go, as a URL without a slash at its end."""
    if settings.report_files_url:
        return settings.report_files_url.rstrip("/")
    return (Path(settings.home) / "reports").absolute().as_uri()


def read_file(url: str) -> Iterator[bytes]:
    """A recorded file, block by block; raises FileNotFoundError at once if it is gone."""
    source = fsspec.open(url, "rb").open()

    def blocks() -> Iterator[bytes]:
        with source:
            while block := source.read(_BLOCK_BYTES):
                yield block

    return blocks()
