"""From actions to verdict changes: reads the affected verdicts, lets `billing.evaluate` judge, and keeps what differs.

Nothing is written here, so the same code serves the worker, a rebuild and a dry run.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import asyncpg

from billing.actions import Action
from billing.affected_range import affected_keys, affected_range, displacing_can_free_others, needs_all_winners
from billing.policy import Policy
from billing.texts import text_key
from db.ledger import period_counters, reading, winners
from db.ledger.case import Case, Customer


async def judge_new(connection: asyncpg.Connection, cases: Sequence[Case]) -> None:
    """Judge the new actions of customers whose recorded verdicts follow the present policy."""
    counters = await period_counters.read(connection, [(case.customer, case.first_period) for case in cases])
    holders = await winners.by_key(connection, {action.key for case in cases for action in case.new})
    for case in cases:
        case.counters = counters.get(case.customer, {})
        case.winners = {action.key: holders.get(action.key, []) for action in case.new}
    await _record_affected_keys(connection, cases)
    for case in cases:
        case.affected = affected_range(case.new, list(case.recorded.values()), case.policy.terms, case.counters)
    await _record_first_winners(connection, [(case, case.affected.first_winners) for case in cases])
    for case in cases:
        case.decide(case.actions)
    await _widen_range(connection, cases)


async def judge_again(connection: asyncpg.Connection, cases: Sequence[Case]) -> None:
    """Judge all actions of customers whose verdicts can still change, priced again by the present policy."""
    counters = await period_counters.read(connection, [(case.customer, 0) for case in cases])
    priced = [[*case.new] for case in cases]
    customers = [(case.customer, case.policy.first_open) for case in cases]
    for place, lead_type, verdict in await reading.open_verdicts(connection, customers):
        cases[place].recorded[verdict.action.id] = verdict
        priced[place].append(_priced_again(verdict.action, text_key(lead_type), cases[place].policy))
    frozen = await winners.frozen_by_key(
        connection,
        {
            (action.key, case.policy.first_open)
            for case, actions in zip(cases, priced, strict=True)
            if case.policy.closed_through
            for action in actions
        },
    )
    for case, actions in zip(cases, priced, strict=True):
        case.is_complete = True
        case.counters = counters.get(case.customer, {})
        case.affected.used_minor = {
            period: counted.billed_minor for period, counted in case.counters.items() if not case.policy.is_open(period)
        }
        case.winners = {action.key: frozen[action.key] for action in actions if action.key in frozen}
        case.decide(actions)


async def _record_affected_keys(connection: asyncpg.Connection, cases: Iterable[Case]) -> None:
    """Read the winners that new actions may displace, or their whole keys where displacing them may free others."""
    action_ids: list[UUID] = []
    keys: list[tuple[Customer, int, UUID]] = []
    by_customer: dict[Customer, Case] = {}
    for case in cases:
        affected = affected_keys(case.new, case.winners, case.policy.is_open)
        if not affected:
            continue
        by_customer[case.customer] = case
        # Nothing before the first new action can change, and the counters of earlier periods are not read.
        first = min(action.billing_period for action in case.new)
        if displacing_can_free_others(case.policy.terms):
            keys += [(case.customer, period, key) for key in affected for period in case.counters if period >= first]
        else:
            action_ids += [
                winner.action_id for key in affected for winner in case.winners[key] if winner.billing_period >= first
            ]
    rows = await reading.verdicts_of_winners(connection, action_ids) if action_ids else []
    rows += await reading.verdicts_of_keys(connection, keys) if keys else []
    for row in rows:
        by_customer[reading.customer_from_row(row)].recorded[row["id"]] = reading.verdict_from_row(row)


async def _record_first_winners(
    connection: asyncpg.Connection, numbers: Iterable[tuple[Case, Mapping[int, int]]]
) -> None:
    """Read the first winners of periods: for each case, how many in which period."""
    by_customer: dict[Customer, Case] = {}
    wanted: list[tuple[Customer, int, int]] = []
    for case, by_period in numbers:
        by_customer[case.customer] = case
        wanted += [(case.customer, period, number) for period, number in by_period.items() if number]
    for row in await reading.verdicts_of_first_winners(connection, wanted) if wanted else ():
        by_customer[reading.customer_from_row(row)].recorded[row["id"]] = reading.verdict_from_row(row)


async def _widen_range(connection: asyncpg.Connection, cases: Iterable[Case]) -> None:
    """Judge once more, with all winners of the period, where room under the cap was freed for winners that follow."""
    again = []
    for case in cases:
        recorded = list(case.recorded.values())
        all_winners = {
            period: case.counters[period].winners
            for period in case.affected.first_winners
            if needs_all_winners(period, case.affected, recorded, case.verdicts, case.policy.terms, case.counters)
        }
        if all_winners:
            again.append((case, all_winners))
    await _record_first_winners(connection, again)
    for case, _ in again:
        case.decide(case.actions)


def _priced_again(action: Action, lead_type_key: str, policy: Policy) -> Action:
    """The action by the present policy: its rate, and its periods if the time zone changed (R16)."""
    rate = policy.card.price(
        action.product_id, lead_type_key, action.action_type_key, action.level_key, action.occurred_at
    )
    own_period = policy.calendar.period_of(action.occurred_at)
    was_late = action.billing_period > action.own_period
    billing_period = action.billing_period if was_late else policy.billing_period(own_period)
    if (action.value_minor, action.rate_rule_id, action.own_period) == (rate.amount_minor, rate.rule_id, own_period):
        return action
    return replace(
        action,
        value_minor=rate.amount_minor,
        rate_rule_id=rate.rule_id,
        own_period=own_period,
        billing_period=max(billing_period, own_period),
    )
