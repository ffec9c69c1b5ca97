"""A case: one customer whose actions are judged, from what is on record to what changes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from billing.actions import Action, Verdict, Winner
from billing.affected_range import AffectedRange, PeriodCounters
from billing.evaluate import State, evaluate
from billing.policy import Policy
from billing.terms import CapScope

Customer = tuple[UUID, UUID]
"""(partner, customer): the unit that is locked, judged and counted."""


@dataclass(slots=True)
class Case:
    """One customer to be judged: the new actions, the affected verdicts on record, and the verdicts.

    `judged_by` is the policy version of the verdicts on record, 0 if there are none. `lead_periods` are the (lead,
    billing period) pairs on record of leads that get new actions. `is_complete` says that all verdicts that can still
    change were judged, not only the affected range. `changes` are (recorded or None, new) for every verdict that is new
    or differs.
    """

    customer: Customer
    policy: Policy
    judged_by: int = 0
    new: list[Action] = field(default_factory=list)
    lead_periods: set[tuple[UUID, int]] = field(default_factory=set)
    is_complete: bool = False
    recorded: dict[UUID, Verdict] = field(default_factory=dict)
    winners: dict[UUID, list[Winner]] = field(default_factory=dict)
    counters: dict[int, PeriodCounters] = field(default_factory=dict)
    affected: AffectedRange = field(default_factory=AffectedRange)
    verdicts: list[Verdict] = field(default_factory=list)
    changes: list[tuple[Verdict | None, Verdict]] = field(default_factory=list)

    @property
    def is_stale(self) -> bool:
        """Whether the verdicts on record follow an older policy."""
        return self.judged_by != self.policy.version

    @property
    def first_period(self) -> int:
        """The first billing period whose counters are needed."""
        if any(terms.cap_scope is CapScope.LIFETIME for terms in self.policy.terms.versions):
            return 0
        return min((action.billing_period for action in self.new), default=0)

    @property
    def actions(self) -> list[Action]:
        """The new actions and those of the affected range."""
        return [*self.new, *(verdict.action for verdict in self.recorded.values())]

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
