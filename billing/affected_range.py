"""Which verdicts on record new and changed actions of one customer can change: the affected range (R8).

Judging everything again for every batch would be quadratic in a customer's history. It is also unnecessary:

- A new winner displaces at most a later winner of its own key. Duplicates stay duplicates, unless the window counts
  days or differs between open periods: then displacing a winner can make another action of the key a winner. So can
  holding or returning a winner (`billing.uncovered`).
- Billed amounts change only near the crossing, the winner at which the cap is used up. Winners before it are billed in
  full, winners after it are capped.

So the new and changed actions are judged together with the winners that they may displace and, where the cap may be
used up, with the winners from the start of the period to the crossing. This module chooses the range;
`billing.evaluate` judges it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from billing.actions import WINNING, Action, Verdict, Winner
from billing.terms import CapScope, TermsHistory

_MORE = 16
"""Twice as many each time, and so many more: all of them would be too many where little room was freed."""


@dataclass(slots=True)
class PeriodCounters:
    """The counters of one customer in one billing period, as far as the cap needs them; money in minor units."""

    billed_minor: int
    cap_savings_minor: int
    credited_minor: int
    billed_winners: int
    """Winners billed in full or in part: in evaluation order, the winners from the start of the period to the crossing.
    """
    winners: int
    last_occurred_at: datetime


@dataclass(slots=True)
class AffectedRange:
    """What must be judged beside the new actions, by billing period.

    `used_minor` is `billing.evaluate.State.used_minor`: the part of the cap that is used outside the range.
    `first_winners` is how many of a period's first winners belong to the range.
    """

    used_minor: dict[int, int] = field(default_factory=dict)
    first_winners: dict[int, int] = field(default_factory=dict)


def affected_keys(
    new: Iterable[Action], winners: Mapping[UUID, Sequence[Winner]], is_open: Callable[[int], bool]
) -> set[UUID]:
    """Keys of which a new action comes before a winner whose verdict can still change, and so may displace it."""
    return {
        action.key
        for action in new
        for winner in winners.get(action.key, ())
        if (action.billing_period, action.occurred_at) <= (winner.billing_period, winner.occurred_at)
        and is_open(winner.billing_period)
    }


def displacing_can_free_others(terms: TermsHistory) -> bool:
    """Whether a duplicate of a displaced winner may become a winner itself."""
    windows = {version.window for version in terms.versions}
    return len(windows) > 1 or next(iter(windows)).kind == "days"


def affected_range(
    new: Sequence[Action],
    recorded: Sequence[Verdict],
    terms: TermsHistory,
    counters: Mapping[int, PeriodCounters],
    credited_from: int | None = None,
) -> AffectedRange:
    """Choose, per billing period, what must be judged beside `new` and `recorded`.

    `recorded` are the verdicts of changed actions and of the affected keys, `counters` those of the customer by
    billing period. A credit booked in the period `credited_from` left more room under a lifetime cap.
    """
    result = AffectedRange()
    if not counters:
        return result
    result.used_minor = {period: counted.billed_minor for period, counted in counters.items()}
    affected = {action.billing_period for action in new} | {verdict.action.billing_period for verdict in recorded}
    # What is no winner on record may become one, and is then billed like a new action.
    candidates = [*new, *(verdict.action for verdict in recorded if verdict.outcome not in WINNING)]
    if credited_from is not None:
        affected.add(credited_from)
    if not affected:
        return result
    first = min(affected)
    if any(version.cap_scope is CapScope.LIFETIME for version in terms.versions):
        affected |= {period for period in counters if period > first}
    for period in sorted(affected):
        counted = counters.get(period)
        if counted is None or not counted.winners:
            continue
        new_in_period = [action for action in new if action.billing_period == period]
        recorded_in_period = [verdict for verdict in recorded if verdict.action.billing_period == period]
        in_force = terms.at(period)
        lifetime = in_force.cap_scope is CapScope.LIFETIME
        if in_force.cap_minor is not None:
            used_before_is_final = not lifetime or (period == first and credited_from is None)
            only_appended = not recorded_in_period and all(
                action.occurred_at > counted.last_occurred_at for action in new_in_period
            )
            if only_appended and used_before_is_final:
                continue
            most_minor = counted.billed_minor + counted.cap_savings_minor
            most_minor += sum(action.value_minor for action in candidates if action.billing_period == period)
            if lifetime:
                most_minor += _most_used_before(period, candidates, counters)
            if most_minor > in_force.cap_minor:
                result.first_winners[period] = counted.billed_winners + len(recorded_in_period)
                result.used_minor[period] = 0
                continue
        result.used_minor[period] -= sum(verdict.billed_minor for verdict in recorded_in_period)
    return result


def more_winners(
    period: int,
    chosen: AffectedRange,
    recorded: Iterable[Verdict],
    judged: Iterable[Verdict],
    terms: TermsHistory,
    counters: Mapping[int, PeriodCounters],
) -> int:
    """How many first winners of the period must be judged instead; 0 if those that were judged are enough.

    They are not if they leave room under the cap and other winners follow: room was freed, and these may be billed.
    """
    first_winners, in_force = chosen.first_winners[period], terms.at(period)
    lifetime = in_force.cap_scope is CapScope.LIFETIME
    if first_winners >= counters[period].winners or in_force.cap_minor is None:
        return 0
    winners = (v.action for v in recorded if v.action.billing_period == period and v.outcome in WINNING)
    places = sorted((action.occurred_at, action.lead_id) for action in winners)[:first_winners]
    used = 0
    for verdict in judged:
        action = verdict.action
        is_first_winner = (
            action.billing_period == period and places and (action.occurred_at, action.lead_id) <= places[-1]
        )
        if is_first_winner or (lifetime and action.billing_period < period):
            used += verdict.billed_minor
    if lifetime:
        used += sum(minor for earlier, minor in chosen.used_minor.items() if earlier < period)
        used -= sum(counted.credited_minor for earlier, counted in counters.items() if earlier <= period)
    return min(2 * first_winners + _MORE, counters[period].winners) if used < in_force.cap_minor else 0


def _most_used_before(period: int, candidates: Sequence[Action], counters: Mapping[int, PeriodCounters]) -> int:
    """The most that can have been used of a lifetime cap before the period, in minor units."""
    most = sum(c.billed_minor + c.cap_savings_minor for earlier, c in counters.items() if earlier < period)
    return most + sum(action.value_minor for action in candidates if action.billing_period < period)
