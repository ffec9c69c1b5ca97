"""Judging a closed period again from its actions (B11): prices, duplicates and cap by the rules that hold for it.

No verdict of the period itself is read. What earlier periods decided counts as it was judged: who holds which key, and
for a lifetime cap what they billed. Their own replays prove that.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from uuid import UUID

import asyncpg

from billing.actions import Action, HoldStatus, Verdict
from billing.evaluate import State, evaluate
from billing.policy import Policy
from billing.terms import CapScope
from billing.texts import text_key
from db.core.slices import in_slices
from db.ledger import winners
from db.ledger.policies import Policies

ACTIONS_AT_ONCE = 5_000
"""So many are in memory, and all others of a customer who has more."""

_FIRST = UUID(int=0)
_customer_of = itemgetter("customer_id")


async def verdicts(
    connection: asyncpg.Connection, policies: Policies, partner_id: UUID, period: int
) -> AsyncIterator[list[Verdict]]:
    """The verdicts of a closed period, some customers with all their actions at a time; call it in one snapshot."""
    policy = (await policies.load(connection, [partner_id]))[partner_id]
    after = _FIRST
    while rows := await _actions(connection, partner_id, period, after):
        judged: list[Verdict] = []
        states = await _states(connection, policy, period, rows)
        async for customer_id, of_customer in in_slices(groupby(rows, _customer_of)):
            actions = [_priced(row, policy) for row in of_customer]
            judged += evaluate(actions, policy.terms, states[customer_id])
        yield judged
        after = rows[-1]["customer_id"]


async def _actions(
    connection: asyncpg.Connection, partner_id: UUID, period: int, after: UUID
) -> Sequence[asyncpg.Record]:
    """The actions of the customers that follow one, by customer."""
    return await connection.fetch(
        """
        SELECT actions.*, leads.lead_type FROM (
            SELECT id, customer_id, lead_id, product_id, action_type, engagement_level, occurred_at, occurrence,
                duplicate_key, billing_period, standing
            FROM actions WHERE partner_id = $1 AND billing_period = $2 AND customer_id > $3
            ORDER BY customer_id FETCH FIRST $4 ROWS WITH TIES
        ) AS actions JOIN leads ON leads.id = lead_id ORDER BY customer_id
        """,
        partner_id,
        period,
        after,
        ACTIONS_AT_ONCE,
    )


async def _states(
    connection: asyncpg.Connection, policy: Policy, period: int, rows: Sequence[asyncpg.Record]
) -> Mapping[UUID, State]:
    """What earlier periods left to each customer of the rows."""
    customers = list({row["customer_id"] for row in rows})
    holders = await winners.frozen_by_key(connection, {(row["duplicate_key"], period) for row in rows})
    states = {customer_id: State(holders) for customer_id in customers}
    if policy.terms.at(period).cap_scope is CapScope.LIFETIME:
        used: dict[UUID, dict[int, int]] = defaultdict(dict)
        for row in await connection.fetch(
            """
            SELECT customer_id, billing_period, sum(billed_minor)::bigint AS billed_minor FROM actions
            WHERE partner_id = $1 AND billing_period < $2 AND customer_id = ANY($3::uuid[])
            GROUP BY customer_id, billing_period
            """,
            policy.partner_id,
            period,
            customers,
        ):
            used[row["customer_id"]][row["billing_period"]] = row["billed_minor"]
        credited: dict[UUID, dict[int, int]] = defaultdict(dict)
        for row in await connection.fetch(
            """
            SELECT customer_id, period, sum(amount_minor)::bigint AS amount_minor FROM credits
            WHERE partner_id = $1 AND period <= $2 AND customer_id = ANY($3::uuid[]) GROUP BY customer_id, period
            """,
            policy.partner_id,
            period,
            customers,
        ):
            credited[row["customer_id"]][row["period"]] = row["amount_minor"]
        states = {customer_id: State(holders, used[customer_id], credited[customer_id]) for customer_id in customers}
    return states


def _priced(row: asyncpg.Record, policy: Policy) -> Action:
    type_key, level_key = text_key(row["action_type"]), text_key(row["engagement_level"])
    rate = policy.card.price(row["product_id"], text_key(row["lead_type"]), type_key, level_key, row["occurred_at"])
    return Action(
        id=row["id"],
        lead_id=row["lead_id"],
        product_id=row["product_id"],
        action_type=row["action_type"],
        action_type_key=type_key,
        engagement_level=row["engagement_level"],
        level_key=level_key,
        occurred_at=row["occurred_at"],
        occurrence=row["occurrence"],
        key=row["duplicate_key"],
        own_period=policy.calendar.period_of(row["occurred_at"]),
        billing_period=row["billing_period"],
        value_minor=rate.amount_minor,
        rate_rule_id=rate.rule_id,
        hold_status=HoldStatus(row["standing"]),
    )
