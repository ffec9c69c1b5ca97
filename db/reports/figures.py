"""Billing reports: the live figures of one partner and one period, and the versions that were written of them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from operator import attrgetter
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from billing.identity import partner_of_report, report_uuid
from billing.periods import FIRST_PERIOD
from billing.totals import TOTALS_COLUMNS, Totals
from db.reports.explained_actions import Line, lines_of_customers

_CUSTOMERS_AT_ONCE = 200
_ACTIONS_AT_ONCE = 4_000
_SUMS = ", ".join(f"sum({name})::bigint AS {name}" for name in TOTALS_COLUMNS)
_figures = attrgetter(*TOTALS_COLUMNS)


@dataclass(slots=True)
class ProductTotals:
    """One product's part of a report."""

    product: str
    name: str
    totals: Totals


@dataclass(slots=True)
class CustomerTotals:
    """One customer's part of a report."""

    row: asyncpg.Record
    totals: Totals


@dataclass(slots=True)
class Report:
    """What a partner owes for a period as of an instant; `version` is the last one written, 0 if none was."""

    report_id: UUID
    partner_id: UUID
    partner: str
    partner_name: str
    period: int
    currency: str
    as_of: datetime
    final: bool
    version: int
    digest: str
    totals: Totals
    credited_minor: int
    checksum: int
    products: list[ProductTotals]


async def live(connection: asyncpg.Connection, partner_id: UUID, period: int) -> Report:
    """The report as the counters have it now. Two reports with the same verdicts have the same digest."""
    partner = await connection.fetchrow(
        """
        SELECT external_id, name, currency, closed_through, transaction_timestamp() AS now FROM partners WHERE id = $1
        """,
        partner_id,
    )
    assert partner is not None
    rows = await connection.fetch(
        f"""
        SELECT products.external_id AS product, products.name, totals.* FROM (
            SELECT product_id, {_SUMS}, sum(credited_minor)::bigint AS credited_minor, sum(checksum) AS checksum
            FROM product_periods WHERE partner_id = $1 AND period = $2 GROUP BY product_id
        ) AS totals JOIN products ON products.id = totals.product_id
        ORDER BY products.external_id
        """,
        partner_id,
        period,
    )
    totals = Totals(*(sum(row[name] for row in rows) for name in TOTALS_COLUMNS))
    credited_minor = sum(row["credited_minor"] for row in rows)
    checksum = sum(int(row["checksum"]) for row in rows)
    report_id = report_uuid(partner_id, period)
    version = await connection.fetchval(
        "SELECT coalesce(max(version), 0) FROM billing_reports WHERE report_id = $1", report_id
    )
    content = (report_id.hex, partner["currency"], *_figures(totals), credited_minor, checksum)
    return Report(
        report_id=report_id,
        partner_id=partner_id,
        partner=partner["external_id"],
        partner_name=partner["name"],
        period=period,
        currency=partner["currency"],
        as_of=partner["now"],
        final=partner["closed_through"] is not None and period <= partner["closed_through"],
        version=version,
        digest=sha256(repr(content).encode()).hexdigest(),
        totals=totals,
        credited_minor=credited_minor,
        checksum=checksum,
        products=[ProductTotals(row["product"], row["name"], totals_from_row(row)) for row in rows],
    )


async def customers(
    connection: asyncpg.Connection,
    partner_id: UUID,
    period: int,
    *,
    after: UUID | None = None,
    only: UUID | None = None,
    limit: int,
) -> list[CustomerTotals]:
    """The customers of a report in the order of their ids."""
    rows = await connection.fetch(
        """
        SELECT customer_periods.*, customers.external_id, customers.name, customers.email
        FROM customer_periods JOIN customers ON customers.id = customer_id
        WHERE partner_id = $1 AND period = $2 AND ($3::uuid IS NULL OR customer_id > $3)
            AND ($4::uuid IS NULL OR customer_id = $4) AND (actions > 0 OR credited_minor <> 0)
        ORDER BY customer_id LIMIT $5
        """,
        partner_id,
        period,
        after,
        only,
        limit,
    )
    return [CustomerTotals(row, totals_from_row(row)) for row in rows]


async def page(
    connection: asyncpg.Connection,
    *,
    partner_id: UUID | None,
    customer_id: UUID | None,
    first: int,
    last: int,
    after: tuple[int, UUID] | None,
    limit: int,
) -> list[tuple[UUID, int]]:
    """(partner, period) of the reports with actions or credits from `first` to `last`, newest period first."""
    table, customer = "product_periods", ""
    if customer_id:
        table = "customer_states JOIN customer_periods USING (partner_id, customer_id)"
        customer = "AND customer_id = $7"
    rows = await connection.fetch(
        f"""
        SELECT DISTINCT period, partner_id FROM {table}
        WHERE ($1::uuid IS NULL OR partner_id = $1) AND period BETWEEN $2 AND $3
            AND ($4::bigint IS NULL OR period < $4 OR period = $4 AND partner_id > $5)
            AND (actions <> 0 OR credited_minor <> 0) {customer}
        ORDER BY period DESC, partner_id LIMIT $6
        """,
        partner_id,
        first,
        last,
        *(after or (None, None)),
        limit,
        *([customer_id] if customer_id else []),
    )
    return [(row["partner_id"], row["period"]) for row in rows]


async def find(connection: asyncpg.Connection, report_id: UUID) -> tuple[UUID, int] | None:
    """The partner and period of a report: the id and a period give the partner, so every period is tried at once."""
    row = await connection.fetchrow(
        "SELECT partner_id, period FROM billing_reports WHERE report_id = $1 LIMIT 1", report_id
    )
    if row:
        return row["partner_id"], row["period"]
    months = range(FIRST_PERIOD // 100, datetime.now(UTC).year + 2)
    periods = [year * 100 + month for year in months for month in range(1, 13)]
    row = await connection.fetchrow(
        """
        SELECT partner_id, period FROM unnest($1::uuid[], $2::int[]) AS meant (partner_id, period)
        WHERE EXISTS (
            SELECT FROM product_periods
            WHERE product_periods.partner_id = meant.partner_id AND product_periods.period = meant.period
        )
        """,
        [partner_of_report(report_id, period) for period in periods],
        periods,
    )
    return (row["partner_id"], row["period"]) if row else None


async def lines(connection: asyncpg.Connection, partner_id: UUID, period: int) -> AsyncIterator[Line]:
    """All actions of a report, explained, by customer; a few thousand actions are in memory at a time.

    More only if one customer has more: whether an action is capped depends on all the customer's actions before it.
    """
    after = None
    while True:
        rows = await connection.fetch(
            """
            SELECT customer_id FROM (
                SELECT customer_id, sum(actions) OVER (ORDER BY customer_id) - actions AS actions_before
                FROM (
                    SELECT customer_id, actions FROM customer_periods
                    WHERE partner_id = $1 AND period = $2 AND actions > 0 AND ($3::uuid IS NULL OR customer_id > $3)
                    ORDER BY customer_id LIMIT $4
                ) AS following
            ) AS counted
            WHERE actions_before < $5 ORDER BY customer_id
            """,
            partner_id,
            period,
            after,
            _CUSTOMERS_AT_ONCE,
            _ACTIONS_AT_ONCE,
        )
        if not rows:
            return
        people = [row["customer_id"] for row in rows]
        for line in await lines_of_customers(connection, partner_id, period, people):
            yield line
        after = people[-1]


async def credits_in(connection: asyncpg.Connection, partner_id: UUID, period: int) -> list[asyncpg.Record]:
    """What is credited in a period for returned actions of closed periods, in the order it was booked."""
    return await connection.fetch(
        """
        SELECT credits.amount_minor, credits.reason, credits.action_id, customers.email,
               customers.external_id AS customer, products.name AS product, leads.external_id AS lead, leads.lead_type,
               actions.action_type, actions.engagement_level, actions.occurred_at, actions.billing_period
        FROM credits JOIN actions ON actions.id = credits.action_id JOIN leads ON leads.id = actions.lead_id
        JOIN customers ON customers.id = credits.customer_id JOIN products ON products.id = credits.product_id
        WHERE credits.partner_id = $1 AND credits.period = $2 ORDER BY credits.created_at, credits.action_id
        """,
        partner_id,
        period,
    )


async def add_version(connection: asyncpg.Connection, report: Report) -> int:
    """Write the report as its next version; returns the number."""
    version: int = await connection.fetchval(
        f"""
        INSERT INTO billing_reports (report_id, version, partner_id, period, currency, as_of, final, digest,
            credited_minor, checksum, products, {", ".join(TOTALS_COLUMNS)})
        SELECT $1, coalesce(max(version), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
            {", ".join(f"${n}" for n in range(11, 11 + len(TOTALS_COLUMNS)))}
        FROM billing_reports WHERE report_id = $1
        RETURNING version
        """,
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
                {"product": p.product, "name": p.name} | dict(zip(TOTALS_COLUMNS, _figures(p.totals), strict=True))
                for p in report.products
            ]
        ).decode(),
        *_figures(report.totals),
    )
    return version


async def add_files(
    connection: asyncpg.Connection, report_id: UUID, version: int, files: Sequence[dict[str, Any]]
) -> None:
    """Record the files of a version: format, url, size_bytes, sha256."""
    await connection.executemany(
        """
        INSERT INTO billing_report_files (report_id, version, format, url, size_bytes, sha256)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        [(report_id, version, f["format"], f["url"], f["size_bytes"], f["sha256"]) for f in files],
    )


async def versions(
    connection: asyncpg.Connection, report_id: UUID, only: int | None = None
) -> list[tuple[asyncpg.Record, list[asyncpg.Record]]]:
    """All versions of a report or only one, newest first, with their files."""
    files: dict[int, list[asyncpg.Record]] = {}
    for row in await connection.fetch(
        """
        SELECT * FROM billing_report_files WHERE report_id = $1 AND ($2::int IS NULL OR version = $2) ORDER BY format
        """,
        report_id,
        only,
    ):
        files.setdefault(row["version"], []).append(row)
    rows = await connection.fetch(
        """
        SELECT * FROM billing_reports WHERE report_id = $1 AND ($2::int IS NULL OR version = $2) ORDER BY version DESC
        """,
        report_id,
        only,
    )
    return [(row, files.get(row["version"], [])) for row in rows]


async def last_written(connection: asyncpg.Connection, report_id: UUID) -> tuple[str, bool] | None:
    """Digest and finality of the last written version."""
    row = await connection.fetchrow(
        "SELECT digest, final FROM billing_reports WHERE report_id = $1 ORDER BY version DESC LIMIT 1", report_id
    )
    return (row["digest"], row["final"]) if row else None


def totals_from_row(row: asyncpg.Record) -> Totals:
    """The totals among a row's columns."""
    return Totals(*(row[name] for name in TOTALS_COLUMNS))


async def changed_since_written(connection: asyncpg.Connection) -> list[tuple[UUID, int]]:
    """(partner, period) of reports whose counters moved since their last version, or that have none."""
    rows = await connection.fetch(
        """
        SELECT live.partner_id, live.period FROM (
            SELECT partner_id, period, sum(checksum) AS checksum, sum(credited_minor) AS credited
            FROM product_periods GROUP BY partner_id, period
        ) AS live
        LEFT JOIN LATERAL (
            SELECT checksum, credited_minor, final FROM billing_reports
            WHERE billing_reports.partner_id = live.partner_id AND billing_reports.period = live.period
            ORDER BY version DESC LIMIT 1
        ) AS written ON true
        JOIN partners ON partners.id = live.partner_id
        WHERE written.checksum IS DISTINCT FROM live.checksum OR written.credited_minor <> live.credited
            OR written.final <> (closed_through IS NOT NULL AND live.period <= closed_through)
        ORDER BY 2, 1
        """
    )
    return [(row["partner_id"], row["period"]) for row in rows]
