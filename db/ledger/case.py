"""A case: one customer whose actions are judged, from what is on record to what changes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from billing.actions import WINNING, Action, Verdict, Winner
from billing.affected_range import AffectedRange, PeriodCounters
from billing.duplicates import winner_from_action
from billing.evaluate import State, evaluate
from billing.policy import Policy
from billing.terms import CapScope
from billing.uncovered import Place, Span, uncovered

Customer = tuple[UUID, UUID]
"""(partner, customer): the unit that is locked, judged and counted."""


@dataclass(slots=True)
class Case:
    """One customer to be judged: new and changed actions, the affected verdicts on record, and the verdicts.

    `judged_by` is the oldest policy version of the verdicts on record, 0 if there are none. `lead_periods` are the
    (lead, billing period) pairs on record of leads that get new actions. `recorded` begins with the actions whose hold
    status changed, which they have already, with their verdicts as before. `released_keys` are those that a returned
    frozen winner gave up, and `credited_from` is the period in which it was credited. `is_complete` says that all
    verdicts that can still change were judged, not only the affected range. `changes` are (recorded or None, new) for
    every verdict that is new or differs.
    """

    customer: Customer
    policy: Policy
    judged_by: int = 0
    new: list[Action] = field(default_factory=list)
    lead_periods: set[tuple[UUID, int]] = field(default_factory=set)
    released_keys: set[UUID] = field(default_factory=set)
    credited_from: int | None = None
    is_complete: bool = False
    recorded: dict[UUID, Verdict] = field(default_factory=dict)
    winners: dict[UUID, list[Winner]] = field(default_factory=dict)
    counters: dict[int, PeriodCounters] = field(default_factory=dict)
    affected: AffectedRange = field(default_factory=AffectedRange)
    verdicts: list[Verdict] = field(default_factory=list)
    changes: list[tuple[Verdict | None, Verdict]] = field(default_factory=list)

    @property
    def is_stale(self) -> bool:
        """Whether verdicts on record follow an older policy."""
        return self.judged_by != self.policy.version

    @property
    def follows_other_terms(self) -> bool:
        """Whether verdicts on record follow other terms, so that nothing can be judged beside them."""
        return not self.policy.has_terms_of(self.judged_by)

    @property
    def ends_stale(self) -> bool:
        """Whether it was stale and all verdicts that can still change were judged."""
        return self.is_stale and self.is_complete

    @property
    def first_period(self) -> int:
        """The first billing period whose counters are needed."""
        if any(terms.cap_scope is CapScope.LIFETIME for terms in self.policy.terms.versions):
            return 0
        return self.first_changed_period

    @property
    def first_changed_period(self) -> int:
        """The first billing period of which a verdict can change, while only changed actions are recorded."""
        changed = [action.billing_period for action in self.new]
        changed += [verdict.action.billing_period for verdict in self.recorded.values()]
        if self.credited_from is not None:
            changed.append(self.credited_from)
        return min(changed, default=0)

    @property
    def actions(self) -> list[Action]:
        """The new actions and those of the affected range."""
        return [*self.new, *(verdict.action for verdict in self.recorded.values())]

    def uncovered(self, keys: Iterable[UUID], first: int) -> list[Span]:
        """Where, from a billing period on, actions of these keys would be winners beside those that were judged."""
        winners = {key: [w for w in self.winners[key] if w.action_id not in self.recorded] for key in keys}
        places: dict[UUID, Place] = {}
        for verdict in self.verdicts:
            action = verdict.action
            if verdict.outcome in WINNING and action.key in winners:
                winners[action.key].append(winner_from_action(action))
                places[action.id] = action.lead_id, action.occurrence
        policy = self.policy
        periods = [period for period in self.counters if period >= first and policy.is_open(period)]
        return [
            span
            for key, holders in winners.items()
            for period in periods
            for span in uncovered(key, period, holders, places, policy.terms.at(period).window, policy.calendar)
        ]

    def decide(self, actions: Iterable[Action]) -> None:
        """Judge the actions, given the other winners of their keys and the used part of the cap."""
        winners: Mapping[UUID, Sequence[Winner]] = self.winners
        if self.recorded:  # an action that is judged again does not hold its key beforehand
            winners = {
                key: [winner for winner in holders if winner.action_id not in self.recorded]
                for key, holders in winners.items()
            }
        credited = {period: counted.credited_minor for period, counted in self.counters.items()}
        self.verdicts = evaluate(actions, self.policy.terms, State(winners, self.affected.used_minor, credited))
        self.changes = [
            (before, verdict)
            for verdict in self.verdicts
            if (before := self.recorded.get(verdict.action.id)) is None or _differs(before, verdict)
        ]


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
