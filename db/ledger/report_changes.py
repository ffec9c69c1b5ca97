"""Which reports changed since they were last written: triggers note it beside the counters (migration 0018)."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg


@dataclass(frozen=True, slots=True)
class ReportChange:
    """A report that changed, and by which transactions: what comes later is another change."""

    partner_id: UUID
    period: int
    slots: tuple[int, ...]
    changed_by: tuple[int, ...]


async def page(
    connection: asyncpg.Connection, *, after: ReportChange | None = None, limit: int = 500
) -> list[ReportChange]:
    """Reports that changed, after one of them, oldest period first."""
    rows = await connection.fetch(
        """
        SELECT period, partner_id, array_agg(slot ORDER BY slot) AS slots,
               array_agg(changed_by ORDER BY slot) AS changed_by
        FROM report_changes WHERE $1::int IS NULL OR (period, partner_id) > ($1, $2)
        GROUP BY period, partner_id ORDER BY period, partner_id LIMIT $3
        """,
        after.period if after else None,
        after.partner_id if after else None,
        limit,
    )
    return [
        ReportChange(row["partner_id"], row["period"], tuple(row["slots"]), tuple(row["changed_by"])) for row in rows
    ]


async def mark(connection: asyncpg.Connection, partner_id: UUID, period: int) -> None:
    """Note a change that is none of the counters: the period was closed or reopened. An empty one has no report."""
    await connection.execute(
        """
        INSERT INTO report_changes (period, partner_id, slot, changed_by)
        SELECT $1, $2, 0, pg_current_xact_id()::text::bigint
        WHERE EXISTS (SELECT FROM product_periods WHERE partner_id = $2 AND period = $1)
        ON CONFLICT (period, partner_id, slot) DO UPDATE SET changed_by = excluded.changed_by
        """,
        period,
        partner_id,
    )


async def clear(connection: asyncpg.Connection, change: ReportChange) -> None:
    """Forget a change, once its report was read after it was noted. What changed since stays.

    A batch that has noted its change and not committed yet makes this wait, and then finds its note still there.
    """
    await connection.execute(
        """
        DELETE FROM report_changes USING unnest($3::smallint[], $4::bigint[]) AS seen (slot, changed_by)
        WHERE period = $1 AND partner_id = $2 AND report_changes.slot = seen.slot
            AND report_changes.changed_by = seen.changed_by
        """,
        change.period,
        change.partner_id,
        change.slots,
        change.changed_by,
    )
