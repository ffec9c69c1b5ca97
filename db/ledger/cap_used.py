"""How much of the cap was used before single actions (R7, R15), without reading all actions of their customers.

Only winners that are billed use the cap, and in evaluation order those are the first ones of a period. Where they are
few, which a cap and prices make them, they are read. Where they are many, Postgres adds up what an index holds.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from uuid import UUID

import asyncpg

from billing.actions import Action, in_evaluation_order
from billing.affected_range import PeriodCounters
from billing.texts import text_key
from db.ledger.case import Customer
from db.ledger.reading import WON

FEW_WINNERS = 200

_CustomerPeriod = tuple[Customer, int]
_Billed = tuple[tuple[object, ...], int]
"""(place in the period's evaluation order, minor units); a place that is cut short is before all that begin with it."""


async def used_before(
    connection: asyncpg.Connection,
    actions: Iterable[tuple[Customer, Action]],
    counters: Mapping[Customer, Mapping[int, PeriodCounters]],
    *,
    few: int = FEW_WINNERS,
) -> dict[UUID, int]:
    """What was billed to the customer of each action for those before it in its billing period, by the action's id.

    `counters` are those of the customers, by billing period. Up to `few` winners that are billed are read.
    """
    of_few: dict[_CustomerPeriod, list[Action]] = defaultdict(list)
    of_many: dict[_CustomerPeriod, list[Action]] = defaultdict(list)
    result: dict[UUID, int] = {}
    for customer, action in actions:
        counted = counters.get(customer, {}).get(action.billing_period)
        if counted is None or not counted.billed_minor:
            result[action.id] = 0
        else:
            chosen = of_few if counted.billed_winners <= few else of_many
            chosen[customer, action.billing_period].append(action)
    if of_few:
        numbers = {at: counters[at[0]][at[1]].billed_winners for at in of_few}
        result |= await _from_first_winners(connection, of_few, numbers)
    for (customer, period), those in of_many.items():
        result |= await _from_sums(connection, customer, period, those)
    return result


async def _from_first_winners(
    connection: asyncpg.Connection,
    actions: Mapping[_CustomerPeriod, Sequence[Action]],
    numbers: Mapping[_CustomerPeriod, int],
) -> dict[UUID, int]:
    """By reading the winners that are billed: so many of each customer and period."""
    order = list(actions)
    rows = await connection.fetch(
        f"""
        SELECT place - 1 AS place, first_winners.*
        FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[]) WITH ORDINALITY
            AS wanted (partner_id, customer_id, period, most, place)
        CROSS JOIN LATERAL (
            SELECT occurred_at, lead_id, action_type, engagement_level, occurrence, id, billed_minor FROM actions
            WHERE actions.partner_id = wanted.partner_id AND actions.billing_period = wanted.period
                AND actions.customer_id = wanted.customer_id AND {WON}
            ORDER BY occurred_at, lead_id FETCH FIRST (wanted.most) ROWS WITH TIES
        ) AS first_winners
        WHERE billed_minor > 0
        """,  # noqa: S608 - WON is a constant
        [customer[0] for customer, _ in order],
        [customer[1] for customer, _ in order],
        [period for _, period in order],
        [numbers[at] for at in order],
    )
    billed: dict[int, list[_Billed]] = defaultdict(list)
    for row in rows:
        billed[row["place"]].append(_billed_from_row(row))
    return {
        action.id: used
        for place, at in enumerate(order)
        for action, used in _used_before_each(actions[at], billed.get(place, []))
    }


def _used_before_each(actions: Sequence[Action], billed: list[_Billed]) -> Iterable[tuple[Action, int]]:
    """Each action with the sum of what was billed before it."""
    billed.sort()
    sums = [0, *accumulate(minor for _, minor in billed)]
    places = [place for place, _ in billed]
    passed = 0
    for action in sorted(actions, key=in_evaluation_order):
        within_period = in_evaluation_order(action)[1:]
        while passed < len(places) and places[passed] < within_period:
            passed += 1
        yield action, sums[passed]


async def _from_sums(
    connection: asyncpg.Connection, customer: Customer, period: int, actions: Sequence[Action]
) -> dict[UUID, int]:
    """By one sum over an index between each instant and the next, and by what comes first at the same instant."""
    by_instant: dict[datetime, list[Action]] = defaultdict(list)
    for action in actions:
        by_instant[action.occurred_at].append(action)
    instants, leads = sorted(by_instant), sorted({action.lead_id for action in actions})
    sums = await connection.fetch(
        """
        SELECT width_bucket(occurred_at, $4::timestamptz[]) AS place, sum(billed_minor)::bigint AS billed_minor
        FROM actions WHERE partner_id = $1 AND billing_period = $2 AND customer_id = $3
        GROUP BY 1
        """,
        customer[0],
        period,
        customer[1],
        instants,
    )
    by_place = {row["place"]: row["billed_minor"] for row in sums}
    from_earlier_instants = accumulate(by_place.get(place, 0) for place in range(len(instants)))
    before = dict(zip(instants, from_earlier_instants, strict=True))
    # Of other leads the sum between each of these leads and the next is enough; their own order needs texts as they
    # compare.
    others = await connection.fetch(
        f"""
        SELECT occurred_at, width_bucket(lead_id, $5::uuid[]) AS place, sum(billed_minor)::bigint AS billed_minor
        FROM actions
        WHERE partner_id = $1 AND billing_period = $2 AND customer_id = $3 AND {WON}
            AND occurred_at = ANY($4::timestamptz[]) AND lead_id < $6 AND lead_id <> ALL($5::uuid[])
        GROUP BY 1, 2
        """,  # noqa: S608 - WON is a constant
        customer[0],
        period,
        customer[1],
        instants,
        leads,
        leads[-1],
    )
    own = await connection.fetch(
        f"""
        SELECT occurred_at, lead_id, action_type, engagement_level, occurrence, id, billed_minor FROM actions
        WHERE partner_id = $1 AND billing_period = $2 AND customer_id = $3 AND {WON}
            AND occurred_at = ANY($4::timestamptz[]) AND lead_id = ANY($5::uuid[])
        """,  # noqa: S608 - WON is a constant
        customer[0],
        period,
        customer[1],
        instants,
        leads,
    )
    billed: dict[datetime, list[_Billed]] = defaultdict(list)
    for occurred_at, place, billed_minor in others:
        billed[occurred_at].append(((occurred_at, leads[place]), billed_minor))
    for row in own:
        billed[row["occurred_at"]].append(_billed_from_row(row))
    return {
        action.id: before[occurred_at] + used
        for occurred_at, those in by_instant.items()
        for action, used in _used_before_each(those, billed[occurred_at])
    }


def _billed_from_row(row: asyncpg.Record) -> _Billed:
    place = (
        row["occurred_at"],
        row["lead_id"],
        text_key(row["action_type"]),
        text_key(row["engagement_level"]),
        row["occurrence"],
        row["id"],
    )
    return place, row["billed_minor"]
