"""What would have been billed with other prices, another cap or another window, judged by the one evaluator."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from billing.actions import WINNING, Action, Winner
from billing.duplicates import winner_from_action
from billing.evaluate import State, evaluate
from billing.periods import periods_between
from billing.policy import Policy
from billing.rates import Conditions, RateRule
from billing.terms import DuplicateWindow, Terms, TermsHistory


@dataclass(frozen=True, slots=True)
class SupposedRate:
    """A rule that is supposed to count; `start` is an instant, a period, or None for the first period looked at."""

    conditions: Conditions
    amount_minor: int | None
    start: datetime | int | None = None


@dataclass(frozen=True, slots=True)
class Supposed:
    """What is supposed from the billing period `first` to `last`; a cap of None is none if `changes_cap`."""

    first: int
    last: int
    rates: tuple[SupposedRate, ...] = ()
    changes_cap: bool = False
    cap_minor: int | None = None
    window: DuplicateWindow | None = None

    def policy(self, policy: Policy) -> Policy:
        """A partner's policy as it is supposed: from its start on, a rule takes the place of those like it."""
        calendar = policy.calendar

        def instant(start: datetime | int | None) -> datetime:
            return start if isinstance(start, datetime) else calendar.start_of(start or self.first)

        # Their numbers are below those of all rules on record.
        rules = [RateRule(-n, r.conditions, r.amount_minor, instant(r.start)) for n, r in enumerate(self.rates, 1)]
        periods = periods_between(self.first, self.last)
        terms = TermsHistory((period, self._terms(policy.terms.at(period))) for period in periods)
        return replace(policy, terms=terms, card=policy.card.with_rules(rules))

    def _terms(self, agreed: Terms) -> Terms:
        return replace(
            agreed,
            cap_minor=self.cap_minor if self.changes_cap else agreed.cap_minor,
            window=self.window or agreed.window,
        )


@dataclass(slots=True)
class Past:
    """What is decided for a customer before the first period, and the periods in which actions were credited."""

    winners: Mapping[UUID, Sequence[Winner]]
    used_minor: Mapping[int, int]
    credited_minor: Mapping[int, int]
    credited_in: Mapping[UUID, int]


def billed_by_period(actions: Iterable[Action], terms: TermsHistory, past: Past) -> dict[int, int]:
    """What is billed for one customer's actions by billing period, in minor units.

    A credited action gives its key up in the period of its credit (R11), so each period is judged by itself.
    """
    by_period: dict[int, list[Action]] = defaultdict(list)
    for action in actions:
        by_period[action.billing_period].append(action)
    winners: dict[UUID, list[Winner]] = {key: list(holders) for key, holders in past.winners.items()}
    used = dict(past.used_minor)
    billed: dict[int, int] = {}
    last = max(by_period, default=0)
    for period in sorted(by_period):
        verdicts = evaluate(by_period[period], terms, State(winners, used, past.credited_minor))
        billed[period] = used[period] = sum(verdict.billed_minor for verdict in verdicts)
        for verdict in verdicts if period < last else ():
            if verdict.outcome in WINNING:
                action = verdict.action
                winners.setdefault(action.key, []).append(_winner(action, past.credited_in.get(action.id)))
    return billed


def _winner(action: Action, credited_in: int | None) -> Winner:
    winner = winner_from_action(action)
    return winner if credited_in is None else winner._replace(released_from=credited_in)
