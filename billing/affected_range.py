"""What new actions of one customer can touch among the verdicts already on record.

Judging everything again for every batch would be quadratic in a customer's history. It is also unnecessary:

- A new winner can only unseat a later winner of its own key; duplicates stay duplicates unless the window is one
  where unseating a winner can free another action (days, or windows that differ between open periods).
- Money can only move at the cap: winners before the crossing are billed in full, winners after it get nothing.

So it is enough to judge the new actions together with the winners they contest and, where the cap may be crossed, the
winners from the start of the period up to the crossing. `evaluate` does the judging; this module only chooses.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from billing.actions import WINNING, Action, Outcome, Verdict, Winner
from billing.terms import CapScope, TermsHistory


@dataclass(slots=True)
class PeriodRecord:
    """The counters of one customer in one billing period, as far as they bear on the cap."""

    billed_minor: int
    cap_savings_minor: int
    credited_minor: int
    cap_users: int
    """Winners billed in full or in part; from the start of the period they reach up to the crossing of the cap."""
    winners: int
    last_occurred_at: datetime


@dataclass(slots=True)
class AffectedRange:
    """`used_minor` is for `State`; `prefixes` says of how many first winners of a period the crossing is made."""

    used_minor: dict[int, int] = field(default_factory=dict)
    prefixes: dict[int, int] = field(default_factory=dict)


def contested_keys(
    new: Iterable[Action], winners: Mapping[UUID, Sequence[Winner]], is_open: Callable[[int], bool]
) -> set[UUID]:
    """Keys of which a new action comes before a winner whose verdict can still change."""
    return {
        action.key
        for action in new
        for winner in winners.get(action.key, ())
        if (action.billing_period, action.occurred_at) <= (winner.billing_period, winner.occurred_at)
        and is_open(winner.billing_period)
    }


def displacing_can_free_others(terms: TermsHistory) -> bool:
    """Whether a duplicate of an unseated winner may become a winner itself, so that its whole key must be judged."""
    windows = {version.window for version in terms.versions}
    return len(windows) > 1 or next(iter(windows)).kind == "days"


def affected_range(
    new: Sequence[Action], recorded: Sequence[Verdict], terms: TermsHistory, periods: Mapping[int, PeriodRecord]
) -> AffectedRange:
    """Choose, per billing period, what must be judged beside `new` and the `recorded` verdicts that are at stake."""
    result = AffectedRange()
    if not periods:
        return result
    result.used_minor = {period: record.billed_minor for period, record in periods.items()}
    at_stake = {action.billing_period for action in new} | {verdict.action.billing_period for verdict in recorded}
    # A recorded duplicate may become a winner, and then it wants money like a new action.
    contenders = [*new, *(verdict.action for verdict in recorded if verdict.outcome is Outcome.DUPLICATE)]
    first = min(at_stake)
    if any(version.cap_scope is CapScope.LIFETIME for version in terms.versions):
        at_stake |= {p for p in periods if p > first}
    for period in sorted(at_stake):
        record = periods.get(period)
        if record is None or not record.winners:
            continue
        here = [action for action in new if action.billing_period == period]
        old = [verdict for verdict in recorded if verdict.action.billing_period == period]
        in_force = terms.at(period)
        lifetime = in_force.cap_scope is CapScope.LIFETIME
        if in_force.cap_minor is not None:
            base_is_settled = not lifetime or period == first
            appended = not old and all(action.occurred_at > record.last_occurred_at for action in here)
            if appended and base_is_settled:
                continue
            most = record.billed_minor + record.cap_savings_minor
            most += sum(action.value_minor for action in contenders if action.billing_period == period)
            if lifetime:
                most += _most_before(period, contenders, periods)
            if most > in_force.cap_minor:
                result.prefixes[period] = record.cap_users + len(old)
                result.used_minor[period] = 0
                continue
        result.used_minor[period] -= sum(verdict.billed_minor for verdict in old)
    return result


def crossing_left_range(
    period: int,
    chosen: AffectedRange,
    recorded: Iterable[Verdict],
    judged: Iterable[Verdict],
    terms: TermsHistory,
    periods: Mapping[int, PeriodRecord],
) -> bool:
    """Whether the judged first winners of the period leave room under the cap, and there are winners after them.

    That happens when money was freed, and then the winners after them may be billed.
    """
    prefix, in_force = chosen.prefixes[period], terms.at(period)
    lifetime = in_force.cap_scope is CapScope.LIFETIME
    if prefix >= periods[period].winners or in_force.cap_minor is None:
        return False
    here = (v.action for v in recorded if v.action.billing_period == period and v.outcome in WINNING)
    first_winners = sorted(action.occurred_at for action in here)[:prefix]
    used = 0
    for verdict in judged:
        at = verdict.action
        is_first_winner = at.billing_period == period and first_winners and at.occurred_at <= first_winners[-1]
        if is_first_winner or (lifetime and at.billing_period < period):
            used += verdict.billed_minor
    if lifetime:
        used += sum(minor for p, minor in chosen.used_minor.items() if p < period)
        used -= sum(record.credited_minor for p, record in periods.items() if p <= period)
    return used < in_force.cap_minor


def _most_before(period: int, contenders: Sequence[Action], periods: Mapping[int, PeriodRecord]) -> int:
    """The most that a lifetime cap can have been used before the period, in minor units."""
    recorded = sum(r.billed_minor + r.cap_savings_minor for p, r in periods.items() if p < period)
    return recorded + sum(action.value_minor for action in contenders if action.billing_period < period)
