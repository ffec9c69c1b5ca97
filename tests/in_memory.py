"""The ledger of one customer in memory, so that `db.ledger.judging` can be tried on thousands of histories a minute."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from billing.actions import WINNING, Action, HoldStatus, Outcome, Verdict, Winner, in_evaluation_order
from billing.affected_range import PeriodCounters
from billing.duplicates import NEVER_RELEASED, winner_from_action
from billing.evaluate import State, evaluate
from billing.periods import Calendar
from billing.policy import Policy
from billing.rates import RateCard
from billing.terms import TermsHistory
from billing.uncovered import Span
from db.ledger import judging, period_counters, reading, winners
from db.ledger.case import Case, Customer

CUSTOMER: Customer = (UUID(int=1), UUID(int=2))


@dataclass
class Ledger:
    """What Postgres would hold for one customer, with the reading functions of `db.ledger`."""

    terms: TermsHistory
    closed_through: int | None = None
    verdicts: dict[UUID, Verdict] = field(default_factory=dict)
    released: dict[UUID, int] = field(default_factory=dict)
    credits: dict[UUID, tuple[int, int]] = field(default_factory=dict)
    read: int = 0
    """Verdicts read by the last judgement."""

    @property
    def policy(self) -> Policy:
        return Policy(
            partner_id=CUSTOMER[0],
            closed_through=self.closed_through,
            calendar=Calendar({0: "UTC"}),
            currency="EUR",
            version=1,
            terms=self.terms,
            card=RateCard(CUSTOMER[0], []),
        )

    async def judge_new(self, new: Sequence[Action]) -> None:
        """Judge the way a batch does."""
        await self._judge(Case(CUSTOMER, self.policy, new=list(new)))

    async def _judge(self, case: Case) -> None:
        self.read = 0
        await judging.judge_changes(self, [case])  # type: ignore[arg-type]  # it takes the place of the connection
        for _, verdict in case.changes:
            self.verdicts[verdict.action.id] = verdict

    def whole(self) -> list[Verdict]:
        """What all open verdicts must be."""
        policy = self.policy
        frozen = [v for v in self.verdicts.values() if not policy.is_open(v.action.billing_period)]
        winners: dict[UUID, list[Winner]] = defaultdict(list)
        used: dict[int, int] = defaultdict(int)
        for verdict in sorted(frozen, key=lambda v: (v.action.billing_period, v.action.occurred_at)):
            used[verdict.action.billing_period] += verdict.billed_minor
            if verdict.outcome in WINNING:
                winners[verdict.action.key].append(self._winner(verdict.action))
        credited: dict[int, int] = defaultdict(int)
        for period, amount in self.credits.values():
            credited[period] += amount
        open_actions = [v.action for v in self.verdicts.values() if policy.is_open(v.action.billing_period)]
        return evaluate(open_actions, self.terms, State(winners, used, credited))

    async def change_hold_status(self, action_id: UUID, hold_status: HoldStatus) -> None:
        """Hold, release or return an open action."""
        await self._judge(Case(CUSTOMER, self.policy, recorded=self._with_hold_status(action_id, hold_status)))

    async def credit(self, action_id: UUID) -> None:
        """Return a frozen action."""
        if action_id in self.credits:
            return
        case = Case(CUSTOMER, self.policy)
        self._credit(case, action_id)
        await self._judge(case)

    async def correct(self, action_id: UUID, right: Action) -> None:
        """Return an action and judge another one in its place."""
        case = Case(CUSTOMER, self.policy, new=[right])
        if self.policy.is_open(self.verdicts[action_id].action.billing_period):
            case.recorded = self._with_hold_status(action_id, HoldStatus.RETURNED)
        elif action_id not in self.credits:
            self._credit(case, action_id)
        await self._judge(case)

    def _with_hold_status(self, action_id: UUID, hold_status: HoldStatus) -> dict[UUID, Verdict]:
        old = self.verdicts[action_id]
        self.verdicts[action_id] = replace(old, action=replace(old.action, hold_status=hold_status))
        return {action_id: self.verdicts[action_id]}

    def _credit(self, case: Case, action_id: UUID) -> None:
        verdict, first_open = self.verdicts[action_id], self.policy.first_open
        self.credits[action_id] = (first_open, verdict.billed_minor)
        case.credited_from = first_open
        if verdict.outcome in WINNING:
            self.released[action_id] = first_open
            case.released_keys = {verdict.action.key}

    # -- the reading functions of db.ledger

    async def counters(self, wanted: Sequence[tuple[Customer, int]]) -> dict[Customer, dict[int, PeriodCounters]]:
        records: dict[int, PeriodCounters] = {}
        for verdict in self.verdicts.values():
            action = verdict.action
            record = records.setdefault(action.billing_period, _no_record())
            record.last_occurred_at = max(record.last_occurred_at, action.occurred_at)
            if verdict.outcome in WINNING:
                record.winners += 1
                record.billed_minor += verdict.billed_minor
                record.cap_savings_minor += action.value_minor - verdict.billed_minor
                record.billed_winners += verdict.outcome is not Outcome.CAPPED
        for period, amount in self.credits.values():
            records.setdefault(period, _no_record()).credited_minor += amount
        ((customer, first),) = wanted
        return {customer: {period: record for period, record in records.items() if period >= first}}

    async def winners_by_key(self, keys: Iterable[UUID]) -> dict[UUID, list[Winner]]:
        result: dict[UUID, list[Winner]] = {}
        wanted = set(keys)
        for verdict in self._in_order():
            if verdict.outcome in WINNING and verdict.action.key in wanted:
                result.setdefault(verdict.action.key, []).append(self._winner(verdict.action))
        return result

    async def verdicts_of_actions(self, action_ids: Iterable[UUID]) -> list[dict[str, Any]]:
        return self._rows(self.verdicts[action_id] for action_id in action_ids)

    async def first_counted(self, spans: Sequence[tuple[Customer, Span]]) -> list[dict[str, Any]]:
        return self._rows(first for _, span in spans if (first := self._first_of(span)))

    def _first_of(self, span: Span) -> Verdict | None:
        within = (
            verdict
            for verdict in self.verdicts.values()
            if (action := verdict.action).billing_period == span.period
            and action.key == span.key
            and action.hold_status is HoldStatus.COUNTED
            and action.occurred_at >= span.start
            and (action.occurred_at, action.lead_id, action.occurrence) < (span.end, *span.before)
        )
        return min(within, key=lambda verdict: in_evaluation_order(verdict.action), default=None)

    async def verdicts_of_first_winners(self, prefixes: Sequence[tuple[Customer, int, int]]) -> list[dict[str, Any]]:
        rows: list[Verdict] = []
        for _, period, most in prefixes:
            winners = [v for v in self._in_order() if v.action.billing_period == period and v.outcome in WINNING]
            last = winners[:most][-1].action
            rows += [v for v in winners if _place(v.action) <= _place(last)]
        return self._rows(rows)

    def _rows(self, verdicts: Iterable[Verdict]) -> list[dict[str, Any]]:
        rows = [{"id": verdict.action.id, "verdict": verdict} for verdict in verdicts]
        self.read += len(rows)
        return rows

    def _in_order(self) -> list[Verdict]:
        return sorted(self.verdicts.values(), key=lambda verdict: in_evaluation_order(verdict.action))

    def _winner(self, action: Action) -> Winner:
        return winner_from_action(action)._replace(released_from=self.released.get(action.id, NEVER_RELEASED))


@contextmanager
def ledger_in_memory() -> Iterator[None]:
    """Let `db.ledger.judging` read from a `Ledger` that is handed to it as its connection."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(period_counters, "read", Ledger.counters)
        patch.setattr(winners, "by_key", Ledger.winners_by_key)
        for name in ("verdicts_of_actions", "first_counted", "verdicts_of_first_winners"):
            patch.setattr(reading, name, getattr(Ledger, name))
        patch.setattr(reading, "customer_from_row", _customer_of)
        patch.setattr(reading, "verdict_from_row", _verdict_of)
        yield


def run(coroutine: Any) -> None:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")


def _no_record() -> PeriodCounters:
    return PeriodCounters(0, 0, 0, 0, 0, datetime(1900, 1, 1, tzinfo=UTC))


def _place(action: Action) -> tuple[datetime, UUID]:
    return action.occurred_at, action.lead_id


def _customer_of(_: Any) -> Customer:
    return CUSTOMER


def _verdict_of(row: Any) -> Verdict:
    verdict: Verdict = row["verdict"]
    return verdict
