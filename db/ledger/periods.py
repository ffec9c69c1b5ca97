"""The periods of partners: their stored bounds, and those that have actions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from billing.periods import FIRST_PERIOD, LAST_PERIOD, periods_between
from billing.policy import Policy


async def periods_used(connection: asyncpg.Connection, partner_id: UUID) -> list[int]:
    """The billing periods in which a partner has actions, oldest first."""
    rows = await connection.fetch(
        "SELECT DISTINCT period FROM product_periods WHERE partner_id = $1 AND actions > 0 ORDER BY period", partner_id
    )
    return [row["period"] for row in rows]


@dataclass(frozen=True, slots=True)
class PeriodFigures:
    """What a partner was billed and credited in a period."""

    period: int
    billed_minor: int
    credited_minor: int


async def figures(
    connection: asyncpg.Connection, policy: Policy, first: int = FIRST_PERIOD, last: int = LAST_PERIOD
) -> list[PeriodFigures]:
    """The periods that have actions or credits or are closed, oldest first, with their figures."""
    rows = await connection.fetch(
        """
        SELECT period, sum(billed_minor)::bigint AS billed_minor, sum(credited_minor)::bigint AS credited_minor
        FROM product_periods WHERE partner_id = $1 AND period BETWEEN $2 AND $3
        GROUP BY period HAVING sum(actions) <> 0 OR sum(credited_minor) <> 0
        """,
        policy.partner_id,
        first,
        last,
    )
    by_period = {row["period"]: PeriodFigures(*row) for row in rows}
    if policy.closed_through is not None:
        since = await first_closed(connection, policy.partner_id) or policy.closed_through
        for period in periods_between(max(since, first), min(policy.closed_through, last)):
            by_period.setdefault(period, PeriodFigures(period, 0, 0))
    return [by_period[period] for period in sorted(by_period)]


async def first_closed(connection: asyncpg.Connection, partner_id: UUID) -> int | None:
    """The first closed period; what a release before 0.3 closed is told by its oldest final report."""
    period: int | None = await connection.fetchval(
        """
        SELECT coalesce(
            (SELECT period FROM first_closed_periods WHERE partner_id = $1),
            (SELECT min(period) FROM billing_reports WHERE partner_id = $1 AND final)
        )
        """,
        partner_id,
    )
    return period


async def store_periods(
    connection: asyncpg.Connection, policies: Mapping[UUID, Policy], used: Mapping[UUID, Iterable[int]]
) -> None:
    """Store the bounds of partners' periods when these are first used; from then on no time zone change moves them."""
    missing = sorted(
        (partner_id, period)
        for partner_id, periods in used.items()
        for period in set(periods) - policies[partner_id].calendar.stored.keys()
    )
    if not missing:
        return
    await connection.execute(
        """
        INSERT INTO periods (partner_id, period, starts_at, ends_at)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::timestamptz[])
        ON CONFLICT DO NOTHING
        """,
        [partner_id for partner_id, _ in missing],
        [period for _, period in missing],
        [policies[partner_id].calendar.start_of(period) for partner_id, period in missing],
        [policies[partner_id].calendar.end_of(period) for partner_id, period in missing],
    )
    for partner_id, period in missing:
        calendar = policies[partner_id].calendar
        calendar.stored = {**calendar.stored, period: calendar.start_of(period)}
