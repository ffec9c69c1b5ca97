"""The evaluator (R4–R10): the one function that gives verdicts, online, in a rebuild and in a dry run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from billing.actions import Action, HoldStatus, Outcome, Verdict, Winner, in_evaluation_order
from billing.periods import LAST_PERIOD
from billing.terms import CapScope, DuplicateWindow, TermsHistory

NEVER_RELEASED = LAST_PERIOD + 1


@dataclass(slots=True)
class State:
    """What is decided for one customer of one partner outside the actions that are evaluated.

    `winners` hold their keys and are not among the evaluated actions.
    `used_minor` is, by billing period, the part of the cap used by other actions that come before the evaluated ones.
    `credited_minor` is, by billing period, what was credited in it for returned frozen actions.
    """

    winners: Mapping[UUID, Sequence[Winner]] = field(default_factory=dict)
    used_minor: Mapping[int, int] = field(default_factory=dict)
    credited_minor: Mapping[int, int] = field(default_factory=dict)


def evaluate(actions: Iterable[Action], terms: TermsHistory, state: State) -> list[Verdict]:
    """Judge the actions of one customer of one partner, in evaluation order, and return their verdicts in that order.

    The verdicts depend only on the arguments, never on the order in which `actions` are given.
    """
    verdicts: list[Verdict] = []
    winners: dict[UUID, list[Winner]] = {}
    account = _CapAccount(state)
    for action in sorted(actions, key=in_evaluation_order):
        if action.hold_status is not HoldStatus.COUNTED:
            verdicts.append(Verdict(action, Outcome(action.hold_status)))
            continue
        in_force = terms.at(action.billing_period)
        holders = winners.get(action.key)
        if holders is None:
            holders = winners[action.key] = list(state.winners.get(action.key, ()))
        winner = winner_over(action, holders, in_force.window) if holders else None
        if winner is not None:
            verdicts.append(Verdict(action, Outcome.DUPLICATE, duplicate_of=winner.action_id))
            continue
        holders.append(winner_from_action(action))
        billed = account.bill(action, in_force.cap_minor, in_force.cap_scope)
        verdicts.append(Verdict(action, _outcome(billed, action.value_minor), billed))
    return verdicts


def winner_over(action: Action, holders: Iterable[Winner], window: DuplicateWindow) -> Winner | None:
    """The first of `holders`, given in evaluation order, that makes the action a duplicate.

    Two winners of one key never share an instant within a billing period (every window covers distance zero), so
    (billing period, instant) decides which of two is earlier.
    """
    for winner in holders:
        if (
            action.billing_period < winner.released_from
            and (winner.billing_period, winner.occurred_at) <= (action.billing_period, action.occurred_at)
            and window.covers(winner.occurred_at, winner.own_period, action.occurred_at, action.own_period)
        ):
            return winner
    return None


def winner_from_action(action: Action) -> Winner:
    """An action that now holds its key, as a winner."""
    return Winner(action.id, action.key, action.billing_period, action.own_period, action.occurred_at, NEVER_RELEASED)


class _CapAccount:
    """How much of the cap one customer has used, as the evaluation goes through the periods (R7)."""

    __slots__ = ("_before_minor", "_period", "_state", "_used_minor")

    def __init__(self, state: State) -> None:
        self._state = state
        self._period = 0
        self._used_minor = 0
        self._before_minor = 0

    def bill(self, action: Action, cap_minor: int | None, scope: CapScope) -> int:
        """Bill as much of the action as the cap leaves room for, and return it in minor units."""
        if action.billing_period != self._period:
            self._enter(action.billing_period)
        billed = action.value_minor
        if cap_minor is not None:
            used = self._used_minor + (self._before_minor if scope is CapScope.LIFETIME else 0)
            billed = min(billed, max(cap_minor - used, 0))
        self._used_minor += billed
        return billed

    def _enter(self, period: int) -> None:
        """Go on to a later period: what earlier periods billed, less credits, counts against a lifetime cap."""
        used, credited = self._state.used_minor, self._state.credited_minor
        self._before_minor += self._used_minor
        self._before_minor += sum(minor for p, minor in used.items() if self._period < p < period)
        self._before_minor -= sum(minor for p, minor in credited.items() if self._period < p <= period)
        self._used_minor = used.get(period, 0)
        self._period = period


def _outcome(billed_minor: int, value_minor: int) -> Outcome:
    if billed_minor == value_minor:
        return Outcome.BILLED
    return Outcome.PARTLY_BILLED if billed_minor else Outcome.CAPPED
