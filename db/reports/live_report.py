"""The live report of one partner and one period, summed from the counters of its products."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from operator import attrgetter
from uuid import UUID

import asyncpg

from billing.identity import partner_of_report, report_uuid
from billing.periods import FIRST_PERIOD
from billing.totals import TOTALS_COLUMNS, Totals
from db.core.totals_rows import totals_from_row

_SUMS = ", ".join(f"sum({name})::bigint AS {name}" for name in TOTALS_COLUMNS)
_figures = attrgetter(*TOTALS_COLUMNS)


@dataclass(frozen=True, slots=True)
class ProductTotals:
    """One product's part of a report."""

    product: str
    name: str
    totals: Totals
    credited_minor: int | None
    """None in a version that a release up to 0.2 wrote: it kept what was credited of the whole report only."""


@dataclass(frozen=True, slots=True)
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
    products: tuple[ProductTotals, ...]


async def read(connection: asyncpg.Connection, partner_id: UUID, period: int) -> Report:
    """The report as the counters are now. Two reports with the same verdicts have the same digest.

    The digest is of figures and verdicts, not of the text of a file, so it stays the same when a format changes.
    """
    return (await read_many(connection, [partner_id], period))[partner_id]


async def read_many(connection: asyncpg.Connection, partner_ids: Sequence[UUID], period: int) -> dict[UUID, Report]:
    """The reports of existing partners for one period."""
    report_ids = {partner_id: report_uuid(partner_id, period) for partner_id in partner_ids}
    partners = await connection.fetch(
        """
        SELECT id, external_id, name, currency, closed_through, transaction_timestamp() AS now, (
            SELECT coalesce(max(version), 0) FROM billing_reports WHERE report_id = wanted.report_id
        ) AS version
        FROM unnest($1::uuid[], $2::uuid[]) AS wanted (id, report_id) JOIN partners USING (id)
        """,
        list(report_ids),
        list(report_ids.values()),
    )
    rows: dict[UUID, list[asyncpg.Record]] = {partner_id: [] for partner_id in partner_ids}
    for row in await connection.fetch(
        f"""
        SELECT products.external_id AS product, products.name, totals.* FROM (
            SELECT partner_id, product_id, {_SUMS}, sum(credited_minor)::bigint AS credited_minor,
                sum(checksum) AS checksum
            FROM product_periods WHERE partner_id = ANY($1::uuid[]) AND period = $2 GROUP BY partner_id, product_id
        ) AS totals JOIN products ON products.id = totals.product_id
        ORDER BY products.external_id
        """,  # noqa: S608 - _SUMS is a constant
        partner_ids,
        period,
    ):
        rows[row["partner_id"]].append(row)
    return {row["id"]: _report(row, report_ids[row["id"]], period, rows[row["id"]]) for row in partners}


def _report(partner: asyncpg.Record, report_id: UUID, period: int, rows: Sequence[asyncpg.Record]) -> Report:
    totals = Totals(*(sum(row[name] for row in rows) for name in TOTALS_COLUMNS))
    credited_minor = sum(row["credited_minor"] for row in rows)
    checksum = sum(int(row["checksum"]) for row in rows)
    content = (report_id.hex, partner["currency"], *_figures(totals), credited_minor, checksum)
    return Report(
        report_id=report_id,
        partner_id=partner["id"],
        partner=partner["external_id"],
        partner_name=partner["name"],
        period=period,
        currency=partner["currency"],
        as_of=partner["now"],
        final=partner["closed_through"] is not None and period <= partner["closed_through"],
        version=partner["version"],
        digest=sha256(repr(content).encode()).hexdigest(),
        totals=totals,
        credited_minor=credited_minor,
        checksum=checksum,
        products=tuple(
            ProductTotals(row["product"], row["name"], totals_from_row(row), row["credited_minor"]) for row in rows
        ),
    )


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
    """(partner, period) of the reports from `first` to `last` with actions or credits, newest period first.

    Without a customer those of closed periods are among them, also of empty ones. Only rows of the page's own reports
    are read, however many there are.
    """
    source = _OF_CUSTOMER.replace("{customer}", "$7" if partner_id else "$6") if customer_id else _OF_ALL
    only = "AND partner_id = $6" if partner_id else ""
    rows = await connection.fetch(
        source.replace("{only}", only),
        first,
        last,
        *(after or (last + 1, _LAST_PARTNER)),
        limit,
        *([partner_id] if partner_id else []),
        *([customer_id] if customer_id else []),
    )
    return [(row["partner_id"], row["period"]) for row in rows]


_LAST_PARTNER = UUID(int=2**128 - 1)
_IN_PAGE = "period BETWEEN $1 AND $2 AND (period, partner_id) < ($3::bigint, $4) {only}"
_NEWEST_FIRST = "ORDER BY period DESC, partner_id DESC LIMIT $5"
_OF_ALL = f"""
    SELECT period, partner_id FROM (
        (
            SELECT DISTINCT period, partner_id FROM product_periods
            WHERE {_IN_PAGE} AND (actions <> 0 OR credited_minor <> 0) {_NEWEST_FIRST}
        ) UNION (
            SELECT DISTINCT period, partner_id FROM billing_reports
            WHERE {_IN_PAGE} AND final AND period <= (SELECT closed_through FROM partners WHERE id = partner_id)
            {_NEWEST_FIRST}
        )
    ) AS listed {_NEWEST_FIRST}
"""  # noqa: S608 - texts of this module
_OF_CUSTOMER = f"""
    SELECT DISTINCT period, partner_id FROM customer_states JOIN customer_periods USING (partner_id, customer_id)
    WHERE {_IN_PAGE} AND (actions <> 0 OR credited_minor <> 0) AND customer_id = {{customer}} {_NEWEST_FIRST}
"""  # noqa: S608 - texts of this module


async def find(connection: asyncpg.Connection, report_id: UUID) -> tuple[UUID, int] | None:
    """The partner and period of a report; None if there is no such report.

    A report that was never written is found by its id: with a period it gives the partner, so all periods are tried in
    one query.
    """
    row = await connection.fetchrow(
        "SELECT partner_id, period FROM billing_reports WHERE report_id = $1 LIMIT 1", report_id
    )
    if row:
        return row["partner_id"], row["period"]
    months = range(FIRST_PERIOD // 100, datetime.now(UTC).year + 2)
    periods = [year * 100 + month for year in months for month in range(1, 13)]
    row = await connection.fetchrow(
        """
        SELECT partner_id, period FROM unnest($1::uuid[], $2::int[]) AS candidates (partner_id, period)
        WHERE EXISTS (
            SELECT FROM product_periods
            WHERE product_periods.partner_id = candidates.partner_id AND product_periods.period = candidates.period
        )
        """,
        [partner_of_report(report_id, period) for period in periods],
        periods,
    )
    return (row["partner_id"], row["period"]) if row else None
