"""Which periods of which partners a run bills (M2)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from billing.bills.values import is_skipped
from billing.periods import Calendar
from billing.runs import last_ended_period
from db.bills import facts

PORTION_PARTNERS = 100
"""A portion has so many partners at most."""
_PORTION_ACTIONS = 20_000


@dataclass(frozen=True, slots=True)
class Due:
    """A partner's period that has no bill, or one to issue; `actions` is how many are in it, about.

    `is_old` is one that had ended when the scheduler was enabled.
    """

    partner_id: UUID
    period: int
    actions: int
    is_open: bool
    is_old: bool


class _Span(NamedTuple):
    """The periods of a partner that may be due; those through `last_old` had ended when the scheduler was enabled."""

    partner_id: UUID
    first: int
    last: int
    last_old: int


async def due(
    connection: asyncpg.Connection,
    ended_by: datetime,
    *,
    enabled_at: datetime | None = None,
    through: int | None = None,
    partner_ids: Sequence[UUID] | None = None,
) -> list[Due]:
    """The periods without a live bill that have ended, from where billing begins, by partner, the oldest first.

    Closed ones that need no bill are left out. With `through` those up to it, and that one whatever became of it.
    """
    spans = await _spans(connection, ended_by, enabled_at, through, partner_ids)
    rows = await connection.fetch(
        """
        SELECT partner_id, period, coalesce(closed_through, 0) < period AS is_open, period <= last_old AS is_old, (
            SELECT coalesce(sum(actions), 0)::bigint FROM product_periods AS counted
            WHERE counted.partner_id = wanted.partner_id AND counted.period = month.period
        ) AS actions
        FROM unnest($1::uuid[], $2::int[], $3::int[], $5::int[]) AS wanted (partner_id, first, last, last_old)
        -- A worker has no hash joins: LIMIT has each partner looked up by its key, where a join compares all with all.
        CROSS JOIN LATERAL (SELECT closed_through FROM partners WHERE partners.id = wanted.partner_id LIMIT 1) AS closed
        CROSS JOIN LATERAL (
            SELECT month / 12 * 100 + month % 12 + 1 AS period
            FROM generate_series(first / 100 * 12 + first % 100 - 1, last / 100 * 12 + last % 100 - 1) AS month
        ) AS month
        WHERE period = $4 OR NOT EXISTS (
            SELECT FROM bills WHERE bills.partner_id = wanted.partner_id AND bills.period = month.period
                AND corrects_id IS NULL AND state NOT IN ('void', 'cancelled')
        ) AND (coalesce(closed_through, 0) < period OR EXISTS (
            SELECT FROM product_periods AS counted
            WHERE counted.partner_id = wanted.partner_id AND counted.period = month.period
                AND (billed_minor <> 0 OR credited_minor <> 0)
        ) OR EXISTS (
            SELECT FROM adjustments WHERE adjustments.partner_id = wanted.partner_id
                AND adjustments.period = month.period AND taken_back_at IS NULL
        ) OR EXISTS (
            SELECT FROM billing_terms WHERE billing_terms.partner_id = wanted.partner_id
                AND monthly_api_limit IS NOT NULL AND overage_unit_cost IS NOT NULL AND from_period <= month.period
        ))
        ORDER BY partner_id, period
        """,
        [span.partner_id for span in spans],
        [span.first for span in spans],
        [span.last for span in spans],
        through,
        [span.last_old for span in spans],
    )
    found = [Due(**row) for row in rows]
    empty = await _skipped(connection, [each for each in found if not each.is_open and each.period != through])
    return [each for each in found if (each.partner_id, each.period) not in empty]


async def left_to_scheduler(connection: asyncpg.Connection, found: Iterable[Due]) -> list[Due]:
    """What of it the scheduler bills by itself: nothing from where people see to a period of the partner first (M2)."""
    by_partner: dict[UUID, list[Due]] = defaultdict(list)
    for each in found:
        by_partner[each.partner_id].append(each)
    rows = await connection.fetch(
        """
        SELECT partner_id, min(period) AS period FROM (
            SELECT partner_id, items.period
            FROM billing_run_items AS items JOIN billing_runs ON billing_runs.id = run_id
            WHERE partner_id = ANY($1::uuid[]) AND outcome = 'failed' AND retried_at IS NULL AND NOT dry_run
            UNION ALL SELECT partner_id, bills.period FROM bills
            WHERE partner_id = ANY($1::uuid[]) AND corrects_id IS NULL AND state IN ('void', 'cancelled')
            UNION ALL SELECT partner_id, billing_reports.period FROM billing_reports
            JOIN partners ON partners.id = partner_id
            WHERE partner_id = ANY($1::uuid[]) AND final AND billing_reports.period > coalesce(closed_through, 0)
        ) AS of_people
        WHERE NOT EXISTS (
            SELECT FROM bills WHERE bills.partner_id = of_people.partner_id AND bills.period = of_people.period
                AND corrects_id IS NULL AND state NOT IN ('void', 'cancelled')
        )
        GROUP BY partner_id
        """,
        list(by_partner),
    )
    stop = {row["partner_id"]: row["period"] for row in rows}
    return [
        each
        for partner_id, periods in by_partner.items()
        for each in periods
        if not periods[0].is_old and each.period < stop.get(partner_id, each.period + 1)
    ]


def together(*lists: Iterable[Due]) -> list[Due]:
    """Several lists as one, by partner, the oldest first, each period once."""
    found = {(each.partner_id, each.period): each for due_periods in lists for each in due_periods}
    return [each for _, each in sorted(found.items())]


def portions(found: Iterable[Due]) -> list[list[tuple[UUID, int, int]]]:
    """The items of a run, divided: many small partners together, a large one alone; all periods of one together."""
    divided: list[list[tuple[UUID, int, int]]] = []
    partners, actions, last = PORTION_PARTNERS, 0, None
    for each in found:
        if each.partner_id != last:
            partners, last = partners + 1, each.partner_id
            if partners > PORTION_PARTNERS or actions + each.actions > _PORTION_ACTIONS:
                divided.append([])
                partners, actions = 1, 0
        actions += each.actions
        divided[-1].append((each.partner_id, each.period, each.actions))
    return divided


async def _spans(
    connection: asyncpg.Connection,
    ended_by: datetime,
    enabled_at: datetime | None,
    through: int | None,
    partner_ids: Sequence[UUID] | None,
) -> list[_Span]:
    """Of each partner whose billing has begun, the first and the last period that may be due."""
    rows = await connection.fetch(
        """
        SELECT partners.id, coalesce(
            (SELECT billing_from FROM billing_settings WHERE partner_id = partners.id),
            (SELECT to_char(min(start_date), 'YYYYMM')::int FROM billing_terms WHERE partner_id = partners.id),
            (SELECT min(period) FROM product_periods WHERE partner_id = partners.id AND actions > 0),
            $2
        ) AS first
        FROM partners WHERE $1::uuid[] IS NULL OR partners.id = ANY($1)
        """,
        partner_ids,
        through if partner_ids else None,
    )
    first = {row["id"]: row["first"] for row in rows if row["first"]}
    calendars = await _calendars(connection, list(first), ended_by, enabled_at)
    spans = []
    for partner_id, period in first.items():
        calendar = calendars[partner_id]
        last = last_ended_period(calendar, ended_by)
        if through is not None:
            last = min(last, through)
        if period <= last:
            spans.append(_Span(partner_id, period, last, last_ended_period(calendar, enabled_at) if enabled_at else 0))
    return spans


async def _calendars(
    connection: asyncpg.Connection, partner_ids: Sequence[UUID], *instants: datetime | None
) -> dict[UUID, Calendar]:
    """The calendars of partners around some instants."""
    near = [at.year * 100 + at.month for at in instants if at]
    zones: dict[UUID, dict[int, str]] = {partner_id: {} for partner_id in partner_ids}
    starts: dict[UUID, dict[int, datetime]] = {partner_id: {} for partner_id in partner_ids}
    for row in await connection.fetch(
        "SELECT partner_id, from_period, timezone FROM partner_time_zones WHERE partner_id = ANY($1::uuid[])",
        partner_ids,
    ):
        zones[row["partner_id"]][row["from_period"]] = row["timezone"]
    for row in await connection.fetch(
        """
        SELECT partner_id, period, starts_at FROM periods
        WHERE partner_id = ANY($1::uuid[]) AND EXISTS (
            SELECT FROM unnest($2::int[]) AS near WHERE period BETWEEN near - 100 AND near + 100
        )
        """,
        partner_ids,
        near,
    ):
        starts[row["partner_id"]][row["period"]] = row["starts_at"]
    return {partner_id: Calendar(zones[partner_id], starts[partner_id]) for partner_id in partner_ids}


async def _skipped(connection: asyncpg.Connection, closed: Iterable[Due]) -> set[tuple[UUID, int]]:
    """Those of closed periods that need no bill, because every line is 0.00 (B1)."""
    by_period: dict[int, list[UUID]] = defaultdict(list)
    for each in closed:
        by_period[each.period].append(each.partner_id)
    empty = set()
    for period, partner_ids in by_period.items():
        contents = await facts.contents_now(connection, partner_ids, period)
        empty |= {(of, period) for of, content in contents.items() if is_skipped(content.lines)}
    return empty
