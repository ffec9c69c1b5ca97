"""The written versions of reports and the record of their files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from billing.totals import TOTALS_COLUMNS, Totals
from db.core.totals_rows import totals_from_row
from db.reports import file_removals
from db.reports.live_report import ProductTotals, Report

_figures = attrgetter(*TOTALS_COLUMNS)


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A file of a version: its format, where it is, and what it holds."""

    format: str
    url: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ReportVersion:
    """A report as it was written, with its files by format."""

    report_id: UUID
    version: int
    period: int
    currency: str
    as_of: datetime
    final: bool
    digest: str
    totals: Totals
    credited_minor: int
    products: tuple[ProductTotals, ...]
    files: tuple[ReportFile, ...]


async def add(connection: asyncpg.Connection, report: Report) -> int:
    """Write the report as its next version; returns the number."""
    version: int = await connection.fetchval(f"{_ADD} RETURNING version", *_columns([report]))
    return version


async def add_changed(connection: asyncpg.Connection, reports: Iterable[Report]) -> None:
    """Write the next version of each report that is not as its last one; files follow with the next snapshots."""
    by_id = {report.report_id: report for report in reports}
    rows = await connection.fetch(
        """
        SELECT DISTINCT ON (report_id) report_id, digest, final FROM billing_reports
        WHERE report_id = ANY($1::uuid[]) ORDER BY report_id, version DESC
        """,
        list(by_id),
    )
    written = {row["report_id"]: (row["digest"], row["final"]) for row in rows}
    changed = [each for each in by_id.values() if written.get(each.report_id) != (each.digest, each.final)]
    if changed:
        await connection.execute(_ADD, *_columns(changed))


_ADD = f"""
    INSERT INTO billing_reports (version, report_id, partner_id, period, currency, as_of, final, digest,
        credited_minor, checksum, products, {", ".join(TOTALS_COLUMNS)})
    SELECT coalesce((
        SELECT max(version) FROM billing_reports AS earlier WHERE earlier.report_id = new.report_id
    ), 0) + 1, new.*
    FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::timestamptz[], $6::bool[], $7::text[], $8::bigint[],
        $9::numeric[], $10::jsonb[], {", ".join(f"${n}::bigint[]" for n in range(11, 11 + len(TOTALS_COLUMNS)))}
    ) AS new (report_id)
"""  # noqa: S608 - names of our own columns


def _columns(reports: Iterable[Report]) -> list[list[Any]]:
    return [list(column) for column in zip(*map(_row_from_report, reports), strict=True)]


def _row_from_report(report: Report) -> tuple[Any, ...]:
    return (
        report.report_id,
        report.partner_id,
        report.period,
        report.currency,
        report.as_of,
        report.final,
        report.digest,
        report.credited_minor,
        report.checksum,
        msgspec.json.encode(
            [
                {"product": p.product, "name": p.name, "credited_minor": p.credited_minor}
                | dict(zip(TOTALS_COLUMNS, _figures(p.totals), strict=True))
                for p in report.products
            ]
        ).decode(),
        *_figures(report.totals),
    )


async def add_files(connection: asyncpg.Connection, report_id: UUID, version: int, files: Iterable[ReportFile]) -> None:
    """Record the files of a version."""
    await connection.executemany(
        """
        INSERT INTO billing_report_files (report_id, version, format, url, size_bytes, sha256)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        [(report_id, version, file.format, file.url, file.size_bytes, file.sha256) for file in files],
    )


async def read(
    connection: asyncpg.Connection,
    report_id: UUID,
    only: int | None = None,
    *,
    before: int | None = None,
    limit: int | None = None,
) -> list[ReportVersion]:
    """Versions of a report, newest first, with their files: all, only one, or a page of those before one."""
    rows = await connection.fetch(
        """
        SELECT * FROM billing_reports
        WHERE report_id = $1 AND ($2::int IS NULL OR version = $2) AND ($3::bigint IS NULL OR version < $3)
        ORDER BY version DESC LIMIT $4
        """,
        report_id,
        only,
        before,
        limit,
    )
    files: dict[int, list[ReportFile]] = {}
    for row in await connection.fetch(
        """
        SELECT version, format, url, size_bytes, sha256 FROM billing_report_files
        WHERE report_id = $1 AND version = ANY($2::int[]) ORDER BY format
        """,
        report_id,
        [row["version"] for row in rows],
    ):
        file = ReportFile(row["format"], row["url"], row["size_bytes"], row["sha256"])
        files.setdefault(row["version"], []).append(file)
    return [_version_from_row(row, files.get(row["version"], [])) for row in rows]


def _version_from_row(row: asyncpg.Record, files: Iterable[ReportFile]) -> ReportVersion:
    return ReportVersion(
        report_id=row["report_id"],
        version=row["version"],
        period=row["period"],
        currency=row["currency"],
        as_of=row["as_of"],
        final=row["final"],
        digest=row["digest"],
        totals=totals_from_row(row),
        credited_minor=row["credited_minor"],
        products=tuple(_product_from_json(p, row["credited_minor"]) for p in row["products"]),
        files=tuple(files),
    )


def _product_from_json(product: Mapping[str, Any], credited_minor: int) -> ProductTotals:
    """A product's part; older versions say what was credited of the whole report only, which may be nothing."""
    unknown = None if credited_minor else 0
    return ProductTotals(
        product["product"], product["name"], totals_from_row(product), product.get("credited_minor", unknown)
    )


async def drop_replaced(connection: asyncpg.Connection, report_id: UUID) -> int:
    """Drop the versions of open months that a later one of the same day (UTC) replaced; returns how many.

    Final versions stay for ever. The newest version is never dropped, so no number is given twice. Files go after the
    commit, with the sweep of `file_removals`.
    """
    replaced = [
        row["version"]
        for row in await connection.fetch(
            """
            SELECT version FROM (
                SELECT version, lead(version) OVER (
                    PARTITION BY (as_of AT TIME ZONE 'UTC')::date ORDER BY version
                ) AS next
                FROM billing_reports WHERE report_id = $1 AND NOT final
            ) AS open WHERE next IS NOT NULL
            """,
            report_id,
        )
    ]
    if replaced:
        urls = await connection.fetch(
            "DELETE FROM billing_report_files WHERE report_id = $1 AND version = ANY($2::int[]) RETURNING url",
            report_id,
            replaced,
        )
        await connection.execute(
            "DELETE FROM billing_reports WHERE report_id = $1 AND version = ANY($2::int[])", report_id, replaced
        )
        await file_removals.plan(connection, report_id, {row["url"] for row in urls}, file_removals.REPLACED_AFTER)
    return len(replaced)


async def newest_without_files(connection: asyncpg.Connection, report_id: UUID) -> int | None:
    """The number of the newest version, if it has no files yet."""
    version: int | None = await connection.fetchval(
        """
        SELECT version FROM billing_reports WHERE report_id = $1
            AND version = (SELECT max(version) FROM billing_reports WHERE report_id = $1)
            AND NOT EXISTS (
                SELECT FROM billing_report_files AS files
                WHERE files.report_id = $1 AND files.version = billing_reports.version
            )
        """,
        report_id,
    )
    return version


async def last_written(connection: asyncpg.Connection, report_id: UUID) -> tuple[str, bool] | None:
    """Digest of the last written version and whether it is final; None if none was written."""
    row = await connection.fetchrow(
        "SELECT digest, final FROM billing_reports WHERE report_id = $1 ORDER BY version DESC LIMIT 1", report_id
    )
    return (row["digest"], row["final"]) if row else None
