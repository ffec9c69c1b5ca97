"""Which reports changed since they were last written: triggers note it beside the counters (migration 0025).

A trigger only inserts rows, so batches never wait for each other's notes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from billing.totals import TOTALS_COLUMNS

DRY_RUN = "leadger.dry_run"
"""While this setting is `on`, nothing is noted (migration 0066): a sequence moves on in what is rolled back, too."""

_FIGURES = (*TOTALS_COLUMNS, "credited_minor")


@dataclass(frozen=True, slots=True)
class ReportChange:
    """A report that changed, and the notes that say so: what comes later is another change."""

    partner_id: UUID
    period: int
    notes: tuple[int, ...]


async def page(
    connection: asyncpg.Connection, *, after: ReportChange | None = None, limit: int = 500
) -> list[ReportChange]:
    """Reports that changed, after one of them, oldest period first."""
    rows = await connection.fetch(
        """
        SELECT period, partner_id, array_agg(id) AS notes
        FROM report_changes WHERE $1::int IS NULL OR (period, partner_id) > ($1, $2)
        GROUP BY period, partner_id ORDER BY period, partner_id LIMIT $3
        """,
        after.period if after else None,
        after.partner_id if after else None,
        limit,
    )
    return [ReportChange(row["partner_id"], row["period"], tuple(row["notes"])) for row in rows]


async def mark(connection: asyncpg.Connection, partner_ids: Iterable[UUID], period: int) -> None:
    """Note a change that is none of the counters: the period was closed or reopened. An empty one has no report."""
    await connection.execute(
        f"""
        INSERT INTO report_changes (period, partner_id) SELECT $1, id FROM unnest($2::uuid[]) AS wanted (id)
        WHERE EXISTS (SELECT FROM product_periods WHERE partner_id = wanted.id AND period = $1)
            AND current_setting('{DRY_RUN}', true) IS DISTINCT FROM 'on'
        """,  # noqa: S608 - DRY_RUN is a constant
        period,
        list(partner_ids),
    )


async def clear(connection: asyncpg.Connection, change: ReportChange) -> None:
    """Forget a change, once its report was read after it was noted. What changed since has notes of its own."""
    await connection.execute("DELETE FROM report_changes WHERE id = ANY($1::bigint[])", change.notes)


async def sum_currency_totals(connection: asyncpg.Connection) -> None:
    """Put one row per currency in place of the many that batches have added."""
    names = ", ".join(_FIGURES)
    await connection.execute(
        f"""
        WITH gone AS (DELETE FROM currency_totals RETURNING *)
        INSERT INTO currency_totals (currency, {names})
        SELECT currency, {", ".join(f"sum({name})" for name in _FIGURES)} FROM gone GROUP BY currency
        """  # noqa: S608 - names of our own columns
    )
