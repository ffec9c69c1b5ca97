"""Why a partner's month differs from the month before, from all actions of both: a task, and no request, reads them."""

from typing import Any
from uuid import UUID

import asyncpg

from billing.bills.values import Content, LineKind
from billing.money import amount_from_minor
from billing.periods import previous_period, text_from_period
from billing.run_differences import Kind, MonthFigures, causes
from billing.totals import Totals
from db.bills import facts
from db.core.unit_of_work import UnitOfWork
from db.reports import live_report
from db.tasks import records as tasks

KIND = "explain_difference"
"""The kind of the background task."""


async def start(uow: UnitOfWork, partner_id: UUID, period: int) -> UUID:
    """Start the task that explains a month's difference; returns its id."""
    arguments = {"partner_id": partner_id, "period": period}
    return await tasks.start(uow, KIND, arguments, dedup_key=f"{partner_id} {period}")


async def explain(connection: asyncpg.Connection, partner_id: UUID, period: int) -> dict[str, Any]:
    """What the month and the one before ask for, as bills would now, and the causes of the difference.

    `connection` is in a transaction with one snapshot.
    """
    earlier = previous_period(period)
    of_earlier, of_month, new_minor = await _kinds(connection, partner_id, period)
    before = await _figures(connection, partner_id, earlier, of_earlier, 0)
    now = await _figures(connection, partner_id, period, of_month, new_minor)
    return {
        "period": text_from_period(period),
        "compared_with": text_from_period(earlier),
        "before": amount_from_minor(before.net_minor),
        "now": amount_from_minor(now.net_minor),
        "difference": amount_from_minor(now.net_minor - before.net_minor),
        "causes": {cause.value: amount_from_minor(minor) for cause, minor in causes(before, now).items()},
    }


Kinds = dict[tuple[UUID, str, str], Kind]


async def _kinds(connection: asyncpg.Connection, partner_id: UUID, period: int) -> tuple[Kinds, Kinds, int]:
    """The actions of the month before and of the month by what they are, and the value of those of new customers."""
    earlier = previous_period(period)
    rows = await connection.fetch(
        """
        SELECT billing_period, product_id, lower(action_type) AS action_type, engagement_level,
            count(*) AS actions, sum(value_minor)::bigint AS gross_minor,
            billing_period = $3 AND NOT EXISTS (
                SELECT FROM customer_periods AS known WHERE known.partner_id = $1
                    AND known.customer_id = actions.customer_id AND known.period = $2 AND known.actions > 0
            ) AS is_new
        FROM actions WHERE partner_id = $1 AND billing_period IN ($2, $3)
        GROUP BY billing_period, product_id, lower(action_type), engagement_level, is_new
        """,
        partner_id,
        earlier,
        period,
    )
    found: dict[int, Kinds] = {earlier: {}, period: {}}
    for row in rows:
        if not row["is_new"]:
            name = (row["product_id"], row["action_type"], row["engagement_level"])
            found[row["billing_period"]][name] = Kind(row["actions"], row["gross_minor"])
    return found[earlier], found[period], sum(row["gross_minor"] for row in rows if row["is_new"])


async def _figures(
    connection: asyncpg.Connection, partner_id: UUID, period: int, kinds: Kinds, new_minor: int
) -> MonthFigures:
    content = await facts.content_now(connection, partner_id, period)
    totals: Totals = (await live_report.read(connection, partner_id, period)).totals
    credited = -_net(content, LineKind.CREDIT)
    return MonthFigures(
        net_minor=sum(line.net_minor for line in content.lines),
        kinds=kinds,
        new_customers_minor=new_minor,
        duplicates_minor=totals.duplicate_savings_minor,
        cap_minor=totals.cap_savings_minor,
        returns_minor=totals.held_minor + totals.returned_minor + credited,
        overage_minor=_net(content, LineKind.OVERAGE),
        adjustments_minor=_net(content, LineKind.ADJUSTMENT),
    )


def _net(content: Content, kind: LineKind) -> int:
    return sum(line.net_minor for line in content.lines if line.kind is kind)
