"""From actions to verdict changes: reads the affected verdicts, lets `billing.evaluate` judge, and keeps what differs.

Nothing is written here, so the same code serves the worker, a rebuild and a dry run.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import asyncpg

from billing.actions import WINNING, Action, HoldStatus
from billing.affected_range import affected_keys, affected_range, displacing_can_free_others, more_winners
from billing.policy import Policy
from billing.texts import text_key
from billing.uncovered import Span
from db.ledger import period_counters, reading, winners
from db.ledger.case import Case, Customer


async def judge_changes(connection: asyncpg.Connection, cases: Sequence[Case]) -> None:
    """Judge new and changed actions of customers whose recorded verdicts follow the present policy."""
    counters = await period_counters.read(connection, [(case.customer, case.first_period) for case in cases])
    changed_keys = [_changed_keys(case) for case in cases]
    holders = await winners.by_key(connection, set().union(*changed_keys))
    for case, keys in zip(cases, changed_keys, strict=True):
        case.counters = counters.get(case.customer, {})
        case.winners = {key: holders.get(key, []) for key in keys}
    freed = await _record_affected_keys(connection, cases)
    if freed:
        await _record_freed_actions(connection, freed)
    for case in cases:
        case.affected = affected_range(
            case.new, list(case.recorded.values()), case.policy.terms, case.counters, case.credited_from
        )
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


def _changed_keys(case: Case) -> set[UUID]:
    """The duplicate keys of new and changed actions, before more is recorded."""
    keys = {action.key for action in case.new}
    if case.recorded or case.released_keys:
        keys |= {verdict.action.key for verdict in case.recorded.values()} | case.released_keys
    return keys


async def _record_affected_keys(
    connection: asyncpg.Connection, cases: Iterable[Case]
) -> list[tuple[Case, set[UUID], int]]:
    """Read the winners that new and changed actions may displace.

    Returns the keys that may have others then, and the first billing period in which they may.
    """
    freed_keys = []
    action_ids: list[UUID] = []
    by_customer: dict[Customer, Case] = {}
    for case in cases:
        added, freed = case.new, case.released_keys
        if case.recorded:
            changed = case.recorded.values()
            added = [*added, *(each.action for each in changed if each.action.hold_status is HoldStatus.COUNTED)]
            freed = freed | {each.action.key for each in changed if each.outcome in WINNING}
        affected = affected_keys(added, case.winners, case.policy.is_open)
        if affected and displacing_can_free_others(case.policy.terms):
            freed = freed | affected
        if affected or freed:
            by_customer[case.customer] = case
            # Nothing before it can change, and the counters of earlier periods are not read.
            first = case.first_changed_period
            if freed:
                freed_keys.append((case, freed, first))
            action_ids += [
                winner.action_id
                for key in affected | freed
                for winner in case.winners[key]
                if winner.billing_period >= first and winner.action_id not in case.recorded
            ]
    for row in await reading.verdicts_of_actions(connection, action_ids) if action_ids else ():
        by_customer[reading.customer_from_row(row)].recorded[row["id"]] = reading.verdict_from_row(row)
    return freed_keys


async def _record_freed_actions(connection: asyncpg.Connection, freed: Sequence[tuple[Case, set[UUID], int]]) -> None:
    """Read the actions that become winners of keys which lost one, and with days as the window those after them."""
    searched: set[tuple[Customer, Span]] = set()
    while freed:
        by_customer: dict[Customer, Case] = {}
        wanted: list[tuple[Customer, Span]] = []
        for case, keys, first in freed:
            case.decide(case.actions)  # what is billed does not matter yet
            by_customer[case.customer] = case
            spans = case.uncovered(keys, first)
            wanted += [(case.customer, span) for span in spans if (case.customer, span) not in searched]
        searched.update(wanted)
        found = set()
        for row in await reading.first_counted(connection, wanted) if wanted else ():
            case = by_customer[reading.customer_from_row(row)]
            if row["id"] not in case.recorded:
                case.recorded[row["id"]] = reading.verdict_from_row(row)
                found.add(case.customer)
        freed = [each for each in freed if each[0].customer in found]


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


async def _widen_range(connection: asyncpg.Connection, cases: Sequence[Case]) -> None:
    """Judge once more, with more winners of the period, where room under the cap was freed for winners that follow."""
    while cases:
        again = []
        for case in cases:
            if not case.affected.first_winners:
                continue
            recorded = list(case.recorded.values())
            more = {
                period: number
                for period in case.affected.first_winners
                if (
                    number := more_winners(
                        period, case.affected, recorded, case.verdicts, case.policy.terms, case.counters
                    )
                )
            }
            if more:
                case.affected.first_winners |= more
                again.append((case, more))
        await _record_first_winners(connection, again)
        cases = [case for case, _ in again]
        for case in cases:
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
