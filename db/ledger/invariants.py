"""The invariants of R9, checked on a schedule: the counters are what the stored verdicts add up to.

A violation names the report and the difference: what must be added to the counters to correct them.
"""

from dataclasses import dataclass
from uuid import UUID

import asyncpg

from billing.totals import TOTALS_COLUMNS, Totals
from db.core.totals_rows import totals_from_row
from db.ledger import recount
from db.telemetry import counters

MOST_ACTIONS = 1_000_000
MOST_REPORTS = 2_000
"""Of one run, which goes on where the last one ended: so it costs the same however long the history is."""

_PARTNER, _PERIOD, _FOUND = "invariants_partner", "invariants_period", "invariants_found"
_CUT = 65  # bits of a partner's key that are left off, so that a counter can hold it
_AT_ONCE = 500
_FIRST, _LAST_PERIOD = UUID(int=0), 999_912


@dataclass(frozen=True, slots=True)
class CheckedReport:
    """A report to be checked; `actions` says how much there is to count."""

    partner_id: UUID
    period: int
    is_open: bool
    actions: int


@dataclass(frozen=True, slots=True)
class Violation:
    """Counters of a report that are wrong by `difference`: those of a customer, of a product, or all of one table."""

    partner: str
    partner_id: UUID
    period: int
    difference: dict[str, int]
    customer_id: UUID | None = None
    product_id: UUID | None = None
    table: str | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """How far a round through all reports is: behind this period of this partner, with so many violations found."""

    partner_id: UUID = _FIRST
    period: int = 0
    found: int = 0


async def read_position(connection: asyncpg.Connection) -> Position:
    """Where the last run ended."""
    prefix = await counters.one(connection, _PARTNER)
    return Position(
        UUID(int=prefix << _CUT),
        await counters.one(connection, _PERIOD),
        await counters.one(connection, _FOUND),
    )


async def write_position(connection: asyncpg.Connection, position: Position) -> None:
    """Remember where the next run begins. Of a partner's key the first bits are enough to find it again."""
    await counters.put(connection, _PARTNER, position.partner_id.int >> _CUT)
    await counters.put(connection, _PERIOD, position.period)
    await counters.put(connection, _FOUND, position.found)


async def next_reports(connection: asyncpg.Connection, position: Position) -> tuple[list[CheckedReport], Position]:
    """The reports that a run checks, and where the next one begins: the beginning, if this one ends the round."""
    reports: list[CheckedReport] = []
    first, actions, looked_at = position.partner_id, 0, 0
    while True:
        rows = await connection.fetch("SELECT id FROM partners WHERE id >= $1 ORDER BY id LIMIT $2", first, _AT_ONCE)
        for (partner_id,) in rows:
            looked_at += 1
            after = position.period if partner_id.int >> _CUT == position.partner_id.int >> _CUT else 0
            for report in await reports_of(connection, partner_id, after):
                actions += report.actions
                if reports and (actions > MOST_ACTIONS or looked_at + len(reports) >= MOST_REPORTS):
                    return reports, Position(reports[-1].partner_id, reports[-1].period)
                reports.append(report)
            if looked_at >= MOST_REPORTS:
                return reports, Position(partner_id, _LAST_PERIOD)
        if len(rows) < _AT_ONCE:
            return reports, Position()
        first = UUID(int=rows[-1]["id"].int + 1)


async def reports_of(connection: asyncpg.Connection, partner_id: UUID, after: int) -> list[CheckedReport]:
    """The reports of a partner after a period, oldest first; each period is looked up in the indexes by itself."""
    rows = await connection.fetch(
        """
        WITH RECURSIVE used (period) AS (
            SELECT $2::int
            UNION ALL
            SELECT least(
                (SELECT min(product_periods.period) FROM product_periods
                    WHERE partner_id = $1 AND product_periods.period > used.period),
                (SELECT min(customer_periods.period) FROM customer_periods
                    WHERE partner_id = $1 AND customer_periods.period > used.period)
            ) FROM used WHERE used.period IS NOT NULL
        )
        SELECT $1::uuid AS partner_id, used.period,
            closed_through IS NULL OR used.period > closed_through AS is_open,
            (SELECT coalesce(sum(actions), 0)::bigint FROM product_periods
                WHERE partner_id = $1 AND product_periods.period = used.period) AS actions
        FROM used JOIN partners ON partners.id = $1 WHERE used.period > $2 ORDER BY used.period
        """,
        partner_id,
        after,
    )
    return [CheckedReport(**row) for row in rows]


async def violations(connection: asyncpg.Connection, partner_id: UUID, period: int) -> list[Violation]:
    """Where the counters of an open report, by customer and by product, differ from its verdicts."""
    customers, products = await recount.totals_drift(connection, partner_id, period)
    if not customers and not products:
        return []
    report = (await _external_id(connection, partner_id), partner_id, period)
    return [
        *(Violation(*report, _figures(wrong), customer_id=customer[1]) for (customer, _), wrong in customers.items()),
        *(Violation(*report, _figures(wrong), product_id=product_id) for (*_, product_id), wrong in products.items()),
    ]


async def frozen_violations(connection: asyncpg.Connection, partner_id: UUID, period: int) -> list[Violation]:
    """Where the counters of a closed report, whose verdicts cannot change, differ from its final version."""
    partner = await _external_id(connection, partner_id)
    return [
        Violation(partner, partner_id, period, _figures(totals_from_row(row)), table=table)
        for table in ("customer_periods", "product_periods")
        for row in await connection.fetch(_FROZEN.format(counters=table), partner_id, period)
    ]


_FROZEN = f"""
    SELECT counted.partner_id, counted.period, {", ".join(f"written.{c} - counted.{c} AS {c}" for c in TOTALS_COLUMNS)}
    FROM (
        SELECT partner_id, period, {", ".join(f"sum({c})::bigint AS {c}" for c in TOTALS_COLUMNS)}
        FROM {{counters}} WHERE partner_id = $1 AND period = $2 GROUP BY partner_id, period
    ) AS counted
    JOIN partners ON partners.id = counted.partner_id AND counted.period <= closed_through
    JOIN LATERAL (
        SELECT * FROM billing_reports
        WHERE billing_reports.partner_id = counted.partner_id AND billing_reports.period = counted.period
        ORDER BY version DESC LIMIT 1
    ) AS written ON written.final
    WHERE ({", ".join(f"written.{c}" for c in TOTALS_COLUMNS)}) <> ({", ".join(f"counted.{c}" for c in TOTALS_COLUMNS)})
    ORDER BY 1, 2
"""  # noqa: S608 - names of our own columns


async def _external_id(connection: asyncpg.Connection, partner_id: UUID) -> str:
    external_id: str = await connection.fetchval("SELECT external_id FROM partners WHERE id = $1", partner_id)
    return external_id


def _figures(totals: Totals) -> dict[str, int]:
    return {name: getattr(totals, name) for name in TOTALS_COLUMNS if getattr(totals, name)}
