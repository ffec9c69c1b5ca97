"""How much of the cap was used before single actions (R7, R15), without reading all actions of their customers.

Only winners that are billed use the cap, and in evaluation order those are the first ones of a period. Where they are
few, which a cap and prices make them, they are read. Where they are many, Postgres adds up what an index holds.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from uuid import UUID

import asyncpg

from billing.actions import Action, in_evaluation_order
from billing.affected_range import PeriodCounters
from billing.texts import text_key
from db.ledger.case import Customer

FEW_WINNERS = 200

_CustomerPeriod = tuple[Customer, int]


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
        """
        SELECT place - 1, actions.occurred_at, actions.lead_id, action_type, engagement_level, occurrence, actions.id,
            billed_minor
        FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[]) WITH ORDINALITY
            AS wanted (partner_id, customer_id, period, most, place)
        CROSS JOIN LATERAL (
            SELECT action_id FROM winners
            WHERE winners.partner_id = wanted.partner_id AND winners.customer_id = wanted.customer_id
                AND winners.billing_period = wanted.period
            ORDER BY occurred_at FETCH FIRST (wanted.most) ROWS WITH TIES
        ) AS first_winners
        JOIN actions ON actions.id = first_winners.action_id
        WHERE billed_minor > 0
        """,
        [customer[0] for customer, _ in order],
        [customer[1] for customer, _ in order],
        [period for _, period in order],
        [numbers[at] for at in order],
    )
    billed: dict[int, list[tuple[tuple[object, ...], int]]] = defaultdict(list)
    for place, occurred_at, lead_id, action_type, level, occurrence, action_id, billed_minor in rows:
        within_period = (occurred_at, lead_id, text_key(action_type), text_key(level), occurrence, action_id)
        billed[place].append((within_period, billed_minor))
    return {
        action.id: used
        for place, at in enumerate(order)
        for action, used in _used_before_each(actions[at], billed.get(place, []))
    }


def _used_before_each(
    actions: Sequence[Action], billed: list[tuple[tuple[object, ...], int]]
) -> Iterable[tuple[Action, int]]:
    """Each action with the sum of what was billed before it, given as (place in the period's order, minor units)."""
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
    """By one sum over the index between each instant and the next, and by those of the same instant that come first."""
    instants = sorted({action.occurred_at for action in actions})
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
    # Of other leads that come first their sum is enough; the same lead's order needs texts as they compare.
    rows = await connection.fetch(
        """
        SELECT place - 1 AS place, action_type, engagement_level, occurrence, id,
            sum(billed_minor)::bigint AS billed_minor
        FROM (
            SELECT place, billed_minor, CASE WHEN same_lead THEN action_type END AS action_type,
                CASE WHEN same_lead THEN engagement_level END AS engagement_level,
                CASE WHEN same_lead THEN occurrence END AS occurrence, CASE WHEN same_lead THEN actions.id END AS id
            FROM unnest($4::timestamptz[], $5::uuid[]) WITH ORDINALITY AS wanted (occurred_at, lead_id, place)
            JOIN winners ON winners.partner_id = $1 AND winners.customer_id = $3 AND winners.billing_period = $2
                AND winners.occurred_at = wanted.occurred_at
            JOIN actions ON actions.id = winners.action_id
            CROSS JOIN LATERAL (SELECT actions.lead_id = wanted.lead_id AS same_lead) AS compared
            WHERE actions.lead_id <= wanted.lead_id AND billed_minor > 0
        ) AS at_the_instant GROUP BY 1, 2, 3, 4, 5
        """,
        customer[0],
        period,
        customer[1],
        [action.occurred_at for action in actions],
        [action.lead_id for action in actions],
    )
    result = {action.id: before[action.occurred_at] for action in actions}
    for row in rows:
        action = actions[row["place"]]
        if row["action_type"] is not None:
            type_key, level_key = text_key(row["action_type"]), text_key(row["engagement_level"])
            earlier = (type_key, level_key, row["occurrence"], row["id"])
            if earlier >= (action.action_type_key, action.level_key, action.occurrence, action.id):
                continue
        result[action.id] += row["billed_minor"]
    return result
