"""Erasing a person from report files: the display goes, every figure stays, and so does the report's digest.

A line of the CSV belongs to the person if its action does. The e-mail it shows, which may be an old one, is then looked
for in the Markdown of the same version.
"""

import csv
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import fsspec

from billing.identity import report_uuid
from billing.periods import text_from_period
from db.core import locks
from db.core.settings import Settings
from db.masters.erased import erased_email
from db.reports import report_versions
from db.reports.csv_format import csv_row
from db.reports.markdown_format import md_cell
from db.reports.report_files import PART, file_errors, folder_url, write_file
from db.reports.report_versions import ReportFile

_IN_MEMORY_BYTES = 8 * 1024 * 1024
_BLOCK_BYTES = 1024 * 1024
_WRITTEN_WITHIN_S = 3600.0
_AS_IT_IS = {"encoding": "utf-8", "errors": "surrogateescape"}

Edit = Callable[[Iterator[str]], Iterator[str]]


async def reports_of(connection: asyncpg.Connection, customer_id: UUID) -> list[tuple[UUID, int]]:
    """(partner, period) of the reports that may show a customer."""
    rows = await connection.fetch(
        """
        SELECT partner_id, period FROM customer_states JOIN customer_periods USING (partner_id, customer_id)
        WHERE customer_id = $1 ORDER BY partner_id, period
        """,
        customer_id,
    )
    return [(row["partner_id"], row["period"]) for row in rows]


async def actions_of(connection: asyncpg.Connection, customer_id: UUID) -> set[str]:
    """The ids of a customer's actions."""
    rows = await connection.fetch(
        "SELECT actions.id FROM leads JOIN actions ON actions.lead_id = leads.id WHERE leads.customer_id = $1",
        customer_id,
    )
    return {str(row["id"]) for row in rows}


async def erase(
    connection: asyncpg.Connection,
    settings: Settings,
    report: tuple[UUID, int],
    customer_id: UUID,
    actions: Set[str],
    emails: Set[str],
) -> int:
    """Rewrite the files of all versions of a report that show the person; returns how many those were.

    A file is whole at any moment, but its checksum on record is right again only when the transaction is committed:
    killed in between, do it again. What a snapshot wrote and never came to record is rewritten too, by the last e-mail.
    """
    partner_id, period = report
    report_id = report_uuid(partner_id, period)
    await locks.lock_report_exclusive(connection, report_id)  # two erasures must not rewrite one file at the same time
    in_csv = partial(_csv_without, customer_id=customer_id, actions=actions)
    in_md = partial(_md_without, customer_id=customer_id)
    on_record: set[str] = set()
    count = 0
    for version in await report_versions.read(connection, report_id):
        files = {file.format: file for file in version.files}
        on_record |= {file.url for file in version.files}
        shown: set[str] = set()
        if "csv" in files:
            with file_errors(files["csv"].url):
                shown = _emails_in(files["csv"].url, actions)
        # The CSV last: until then it tells which e-mail to look for.
        for kind, edit in (("md", partial(in_md, emails=shown)), ("csv", in_csv)):
            if shown and kind in files:
                count += await _rewrite_recorded(connection, files[kind], edit)
    with file_errors(folder_url(settings)):
        all_files = _all_files(settings, report_id, period)
    for url in all_files - on_record:
        written = _rewrite(url, in_csv if url.endswith(".csv") else partial(in_md, emails=emails))
        count += bool(written and written.changed)
    return count


async def _rewrite_recorded(connection: asyncpg.Connection, file: ReportFile, edit: Edit) -> bool:
    """Rewrite a file and put on record what it is now, also if that was done before and never came to record."""
    written = _rewrite(file.url, edit)
    if written is None:
        return False
    if (written.size_bytes, written.sha256) != (file.size_bytes, file.sha256):
        await connection.execute(
            "UPDATE billing_report_files SET size_bytes = $2, sha256 = $3 WHERE url = $1",
            file.url,
            written.size_bytes,
            written.sha256,
        )
    return written.changed


def _all_files(settings: Settings, report_id: UUID, period: int) -> set[str]:
    """All files of a report, whether they are on record or not; what a killed worker has begun is removed."""
    files, path = fsspec.core.url_to_fs(f"{folder_url(settings)}/{text_from_period(period)}")
    files.invalidate_cache()
    found = files.glob(f"{path}/{report_id}-*")
    for part in map(Path, [name for name in found if name.endswith(PART)]):
        with suppress(FileNotFoundError):  # its writer is done with it
            if time.time() - part.stat().st_mtime > _WRITTEN_WITHIN_S:
                part.unlink()
    return {files.unstrip_protocol(name) for name in found if not name.endswith(PART)}


def _csv_without(lines: Iterator[str], customer_id: UUID, actions: Set[str]) -> Iterator[str]:
    rows = csv.reader(lines)
    head = next(rows, [])
    yield csv_row(head)
    for row in rows:
        cells = dict(zip(head, row, strict=True))
        if cells["action_id"] in actions:
            cells |= {"customer_email": erased_email(customer_id), "customer": str(customer_id)}
        yield csv_row(cells.values())


def _md_without(lines: Iterator[str], customer_id: UUID, emails: Iterable[str]) -> Iterator[str]:
    beginnings = tuple(f"| {md_cell(email)} | " for email in emails)
    for line in lines:
        found = next((beginning for beginning in beginnings if line.startswith(beginning)), None)
        yield f"| {md_cell(erased_email(customer_id))} | {line.removeprefix(found)}" if found else line


def _emails_in(url: str, actions: Set[str]) -> set[str]:
    """The e-mails that a CSV file shows for actions, with and without the mark that keeps a spreadsheet from them."""
    try:
        with fsspec.open(url, "r", newline="", **_AS_IT_IS) as file:
            shown = {row["customer_email"] for row in csv.DictReader(file) if row["action_id"] in actions}
    except FileNotFoundError:
        return set()
    return shown | {email.removeprefix("'") for email in shown}


@dataclass(frozen=True, slots=True)
class _Written:
    """A file as it is now."""

    size_bytes: int
    sha256: str
    changed: bool


def _rewrite(url: str, edit: Edit) -> _Written | None:
    """Edit a file; None if it is gone. FileUnavailable if it cannot be read or written."""
    before, after, size = sha256(), sha256(), 0
    with file_errors(url), tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as spool:
        try:
            for text in edit(_lines(url, before)):
                data = text.encode(**_AS_IT_IS)
                after.update(data)
                size += len(data)
                spool.write(data)
        except FileNotFoundError:
            return None
        changed = after.digest() != before.digest()
        if changed:
            spool.seek(0)
            write_file(url, iter(partial(spool.read, _BLOCK_BYTES), b""))
    return _Written(size, after.hexdigest(), changed)


def _lines(url: str, digest: Any) -> Iterator[str]:
    with fsspec.open(url, "r", newline="", **_AS_IT_IS) as file:
        for line in file:
            digest.update(line.encode(**_AS_IT_IS))
            yield line
