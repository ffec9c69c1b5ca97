"""Report files that are to be removed: those that no version has, once nobody can still want them.

A file is planned to be removed before it is written, and the plan is dropped in the transaction that records the file.
So whatever a killed process leaves behind is found without a look into the folder.
"""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core import locks
from db.core.engine import transaction
from db.core.errors import FileUnavailable
from db.core.settings import Settings
from db.reports.report_files import folder_url, remove_file

log = structlog.get_logger()

UNFINISHED_AFTER = timedelta(hours=6)
"""No file takes as long to be written."""

REPLACED_AFTER = timedelta(hours=1)
"""So long a backup or a download that has begun still finds the files of a version that is gone."""

_AT_ONCE = 100


async def plan(connection: asyncpg.Connection, report_id: UUID, urls: Iterable[str], after: timedelta) -> None:
    """Have files of a report removed some time from now, unless `keep` comes first."""
    await connection.execute(
        """
        INSERT INTO report_file_removals (url, report_id, remove_at)
        SELECT url, $1, clock_timestamp() + $3 FROM unnest($2::text[]) AS urls (url) ON CONFLICT (url) DO NOTHING
        """,
        report_id,
        list(urls),
        after,
    )


async def keep(connection: asyncpg.Connection, urls: Iterable[str]) -> bool:
    """Drop the plans for files that are now on record; False if one of them was carried out."""
    wanted = list(urls)
    kept = await connection.fetch("DELETE FROM report_file_removals WHERE url = ANY($1::text[]) RETURNING url", wanted)
    return len(kept) == len(wanted)


async def remove_due(engine: AsyncEngine, settings: Settings) -> int:
    """Remove the files that are due, each in a transaction of its own; returns how many.

    A file that cannot be removed now is tried again an hour later.
    """
    async with transaction(engine, readonly=True) as connection:
        due = await connection.fetch(
            """
            SELECT url, report_id FROM report_file_removals WHERE remove_at <= clock_timestamp()
            ORDER BY remove_at LIMIT $1
            """,
            _AT_ONCE,
        )
    return sum([await _remove(engine, settings, row["url"], row["report_id"]) for row in due])


async def _remove(engine: AsyncEngine, settings: Settings, url: str, report_id: UUID) -> bool:
    async with transaction(engine) as connection:
        # An erasure that rewrites the file would bring it back.
        await locks.lock_report_exclusive(connection, report_id)
        planned = await connection.fetchval(
            "DELETE FROM report_file_removals WHERE url = $1 AND remove_at <= clock_timestamp() RETURNING url", url
        )
        # A restored database may still name files of the installation that it came from.
        if planned is None or not url.startswith(folder_url(settings)):
            return False
        if await connection.fetchval("SELECT EXISTS (SELECT FROM billing_report_files WHERE url = $1)", url):
            return False
        try:
            remove_file(url)
        except FileUnavailable as error:
            log.warning("file_removal_failed", url=url, error=str(error))
            await plan(connection, report_id, [url], REPLACED_AFTER)
            return False
        return True
