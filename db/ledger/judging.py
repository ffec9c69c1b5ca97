"""From actions to verdict changes: reads what is at stake, lets `billing.evaluate` decide, and says what differs.

Nothing is written here, so the same code serves the worker, a rebuild and a dry run.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

import asyncpg

from billing.actions import Action, Verdict, Winner
from billing.affected_range import (
    AffectedRange,
    PeriodRecord,
    affected_range,
    contested_keys,
    crossing_left_range,
    displacing_can_free_others,
)
from billing.evaluate import State, evaluate
from billing.policy import Policy
from billing.terms import CapScope
from db.ledger import reading
from db.ledger.reading import Customer


@dataclass(slots=True)
class Case:
    """One customer to be judged: what is new, what is on record and at stake, and what came of it.

    `judged_by` is the policy version of the verdicts on record, 0 if there are none. `lead_periods` are the (lead,
    billing period) pairs on record of leads that get new actions. `whole` tells that all verdicts that can still
    change were judged, not only those at stake. `changes` are (recorded or None, new) for every verdict that is new
    or differs.
    """

    customer: Customer
    policy: Policy
    judged_by: int = 0
    new: list[Action] = field(default_factory=list)
    lead_periods: set[tuple[UUID, int]] = field(default_factory=set)
    whole: bool = False
    recorded: dict[UUID, Verdict] = field(default_factory=dict)
    winners: dict[UUID, list[Winner]] = field(default_factory=dict)
    periods: dict[int, PeriodRecord] = field(default_factory=dict)
    affected: AffectedRange = field(default_factory=AffectedRange)
    verdicts: list[Verdict] = field(default_factory=list)
    changes: list[tuple[Verdict | None, Verdict]] = field(default_factory=list)

    @property
    def first_period(self) -> int:
        """From which billing period on the counters matter."""
        if any(terms.cap_scope is CapScope.LIFETIME for terms in self.policy.terms.versions):
            return 0
        return min((action.billing_period for action in self.new), default=0)

    def decide(self, actions: Iterable[Action]) -> None:
        """Judge the actions, given what others at work on the same keys and the same cap have done before."""
        winners: Mapping[UUID, Sequence[Winner]] = self.winners
        if self.recorded:  # those that are judged again hold no key beforehand
            winners = {
                key: [winner for winner in holders if winner.action_id not in self.recorded]
                for key, holders in winners.items()
            }
        credited = {period: record.credited_minor for period, record in self.periods.items()}
        self.verdicts = evaluate(actions, self.policy.terms, State(winners, self.affected.used_minor, credited))
        self.changes = [
            (before, verdict)
            for verdict in self.verdicts
            if (before := self.recorded.get(verdict.action.id)) is None or _differs(before, verdict)
        ]


async def judge_new(connection: asyncpg.Connection, cases: Sequence[Case]) -> None:
    """Judge the new actions of customers whose recorded verdicts follow the present policy."""
    periods = await reading.periods_of(connection, [(case.customer, case.first_period) for case in cases])
    winners = await reading.winners_of(connection, {action.key for case in cases for action in case.new})
    for case in cases:
        case.periods = periods.get(case.customer, {})
        case.winners = {action.key: winners.get(action.key, []) for action in case.new}
    await _record_contested(connection, cases)
    for case in cases:
        case.affected = affected_range(case.new, list(case.recorded.values()), case.policy.terms, case.periods)
    await _record_prefixes(connection, [(case, case.affected.prefixes) for case in cases])
    for case in cases:
        case.decide(_at_hand(case))
    await _widen_range(connection, cases)


async def judge_again(connection: asyncpg.Connection, cases: Sequence[Case]) -> None:
    """Judge everything of customers whose verdict can still change, priced anew by the present policy."""
    periods = await reading.periods_of(connection, [(case.customer, 0) for case in cases])
    priced = [[*case.new] for case in cases]
    wanted = [(case.customer, case.policy.first_open) for case in cases]
    for place, lead_type, verdict in await reading.open_verdicts(connection, wanted):
        cases[place].recorded[verdict.action.id] = verdict
        priced[place].append(_priced(verdict.action, lead_type.casefold(), cases[place].policy))
    frozen = await reading.frozen_winners_of(
        connection,
        {
            (action.key, case.policy.first_open)
            for case, actions in zip(cases, priced, strict=True)
            if case.policy.closed_through
            for action in actions
        },
    )
    for case, actions in zip(cases, priced, strict=True):
        case.whole = True
        case.periods = periods.get(case.customer, {})
        case.affected.used_minor = {
            period: record.billed_minor for period, record in case.periods.items() if not case.policy.is_open(period)
        }
        case.winners = {action.key: frozen[action.key] for action in actions if action.key in frozen}
        case.decide(actions)


async def _record_contested(connection: asyncpg.Connection, cases: Iterable[Case]) -> None:
    """Put the winners that new actions contest at stake, or their whole keys where unseating may free others."""
    winners: list[UUID] = []
    keys: list[tuple[Customer, int, UUID]] = []
    by_customer: dict[Customer, Case] = {}
    for case in cases:
        contested = contested_keys(case.new, case.winners, case.policy.is_open)
        if not contested:
            continue
        by_customer[case.customer] = case
        # Nothing before the first new action can change, and the counters of earlier periods are not read.
        first = min(action.billing_period for action in case.new)
        if displacing_can_free_others(case.policy.terms):
            keys += [(case.customer, period, key) for key in contested for period in case.periods if period >= first]
        else:
            winners += [
                winner.action_id for key in contested for winner in case.winners[key] if winner.billing_period >= first
            ]
    rows = await reading.verdicts_of_winners(connection, winners) if winners else []
    rows += await reading.verdicts_of_keys(connection, keys) if keys else []
    for row in rows:
        by_customer[reading.customer_from_row(row)].recorded[row["id"]] = reading.verdict_from_row(row)


async def _record_prefixes(connection: asyncpg.Connection, prefixes: Iterable[tuple[Case, Mapping[int, int]]]) -> None:
    """Put the first winners of periods at stake, as many as each case's prefixes say."""
    chosen = list(prefixes)
    by_customer = {case.customer: case for case, _ in chosen}
    wanted = [(case.customer, period, most) for case, of in chosen for period, most in of.items() if most]
    for row in await reading.verdicts_of_prefixes(connection, wanted) if wanted else ():
        by_customer[reading.customer_from_row(row)].recorded[row["id"]] = reading.verdict_from_row(row)


async def _widen_range(connection: asyncpg.Connection, cases: Iterable[Case]) -> None:
    """Judge once more, with all winners of the period, where money was freed for winners after the crossing."""
    again = []
    for case in cases:
        recorded = list(case.recorded.values())
        beyond = {
            period: case.periods[period].winners
            for period in case.affected.prefixes
            if crossing_left_range(period, case.affected, recorded, case.verdicts, case.policy.terms, case.periods)
        }
        if beyond:
            again.append((case, beyond))
    await _record_prefixes(connection, again)
    for case, _ in again:
        case.decide(_at_hand(case))


def _at_hand(case: Case) -> list[Action]:
    return [*case.new, *(verdict.action for verdict in case.recorded.values())]


def _priced(action: Action, lead_type_key: str, policy: Policy) -> Action:
    """The action as the present policy sees it: its rate, and its periods if the time zone changed (R16)."""
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


def _differs(before: Verdict, after: Verdict) -> bool:
    if before.outcome is not after.outcome or before.billed_minor != after.billed_minor:
        return True
    old, new = before.action, after.action
    return old is not new and (
        old.value_minor != new.value_minor
        or old.rate_rule_id != new.rate_rule_id
        or old.billing_period != new.billing_period
        or old.own_period != new.own_period
        or old.hold_status is not new.hold_status
    )
