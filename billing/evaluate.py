"""The evaluator (R4–R10): the one function that gives verdicts, online, in a rebuild and in a dry run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from billing.actions import Action, HoldStatus, Outcome, Verdict, Winner, in_evaluation_order
from billing.cap import CapAccount
from billing.duplicates import winner_from_action, winner_over
from billing.terms import TermsHistory


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
    cap = CapAccount(state.used_minor, state.credited_minor)
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
        billed = cap.bill(action, in_force.cap_minor, in_force.cap_scope)
        verdicts.append(Verdict(action, _outcome(billed, action.value_minor), billed))
    return verdicts


def _outcome(billed_minor: int, value_minor: int) -> Outcome:
    if billed_minor == value_minor:
        return Outcome.BILLED
    return Outcome.PARTLY_BILLED if billed_minor else Outcome.CAPPED
