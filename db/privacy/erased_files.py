"""Erasing a person from report files: what shows the person goes, every figure stays, and so does the report's digest.

A line of the CSV belongs to the person if its action does. The e-mail that it shows, which may be an old one, is then
looked for in the Markdown of the same version.
"""

import time
from collections.abc import Set
from contextlib import suppress
from functools import partial
from pathlib import Path
from uuid import UUID

import asyncpg
import fsspec

from billing.identity import report_uuid
from billing.periods import text_from_period
from db.core import locks
from db.core.settings import Settings
from db.privacy.report_edits import csv_without_person, emails_in_csv, markdown_without_person
from db.privacy.rewriting import Edit, rewrite
from db.reports import report_versions
from db.reports.report_files import PART, file_errors, folder_url
from db.reports.report_versions import ReportFile

_WRITTEN_WITHIN_S = 3600.0


async def reports_that_may_show(connection: asyncpg.Connection, customer_id: UUID) -> list[tuple[UUID, int]]:
    """(partner, period) of the reports that may show a customer."""
    rows = await connection.fetch(
        """
        SELECT partner_id, period FROM customer_states JOIN customer_periods USING (partner_id, customer_id)
        WHERE customer_id = $1 ORDER BY partner_id, period
        """,
        customer_id,
    )
    return [(row["partner_id"], row["period"]) for row in rows]


async def action_ids(connection: asyncpg.Connection, customer_id: UUID) -> set[str]:
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

    A file is complete at any moment, but the checksum on record is right again only after the commit: if the process
    is killed in between, call it again. Files that a snapshot wrote and did not put on record are rewritten too; in
    their Markdown it looks for `emails`.
    """
    partner_id, period = report
    report_id = report_uuid(partner_id, period)
    await locks.lock_report_exclusive(connection, report_id)
    in_csv = partial(csv_without_person, customer_id=customer_id, actions=actions)
    in_md = partial(markdown_without_person, customer_id=customer_id)
    on_record: set[str] = set()
    count = 0
    for version in await report_versions.read(connection, report_id):
        files = {file.format: file for file in version.files}
        on_record |= {file.url for file in version.files}
        shown: set[str] = set()
        if "csv" in files:
            with file_errors(files["csv"].url):
                shown = emails_in_csv(files["csv"].url, actions)
        # The CSV comes last, because until then a repeated erasure finds in it which e-mail to look for.
        for kind, edit in (("md", partial(in_md, emails=shown)), ("csv", in_csv)):
            if shown and kind in files:
                count += await _rewrite_recorded(connection, files[kind], edit, settings)
    with file_errors(folder_url(settings)):
        all_files = _all_files(settings, report_id, period)
    for url in all_files - on_record:
        written = rewrite(url, in_csv if url.endswith(".csv") else partial(in_md, emails=emails), settings)
        count += bool(written and written.changed)
    return count


async def _rewrite_recorded(connection: asyncpg.Connection, file: ReportFile, edit: Edit, settings: Settings) -> bool:
    """Rewrite a file and record its size and checksum, also if it was rewritten before and that was not recorded."""
    written = rewrite(file.url, edit, settings)
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
    """All files of a report, whether they are on record or not; unfinished ones of a killed worker are removed."""
    files, path = fsspec.core.url_to_fs(f"{folder_url(settings)}/{text_from_period(period)}")
    files.invalidate_cache()
    found = files.glob(f"{path}/{report_id}-*")
    for part in map(Path, [name for name in found if name.endswith(PART)]):
        with suppress(FileNotFoundError):  # its writer has finished it
            if time.time() - part.stat().st_mtime > _WRITTEN_WITHIN_S:
                part.unlink()
    return {files.unstrip_protocol(name) for name in found if not name.endswith(PART)}
