"""R4, R6, R7, R8, R9 and R10 on the evaluator alone: tables of exact facts, and properties of any history."""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.actions import WINNING, Action, HoldStatus, Outcome, Verdict, in_evaluation_order
from billing.duplicates import winner_from_action
from billing.evaluate import State, evaluate
from billing.terms import CapScope, DuplicateWindow, Terms, TermsHistory, window_from_wire
from billing.totals import Totals
from tests.billing.test_affected_range import make_action, terms_histories

DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
NOON = datetime(2024, 1, 10, 12, tzinfo=UTC)


def history(**terms: object) -> TermsHistory:
    return TermsHistory([(0, Terms(**terms))])  # type: ignore[arg-type]


def clicks(*instants: datetime, value: int = 10, keys: int = 1) -> list[Action]:
    """Actions of one key (or of `keys` keys in turn)."""
    return [make_action(n, n % keys, at, value, None) for n, at in enumerate(instants)]


def outcomes(verdicts: list[Verdict]) -> list[tuple[str, int]]:
    return [(verdict.outcome.value, verdict.billed_minor) for verdict in verdicts]


@pytest.mark.parametrize(
    ("window", "later", "outcome"),
    [
        ("forever", timedelta(days=3000), "duplicate"),
        ("period", timedelta(days=21), "duplicate"),
        ("period", timedelta(days=22), "billed"),
        (3, 3 * DAY - TICK, "duplicate"),
        (3, 3 * DAY, "billed"),
    ],
)
def test_r6_windows(window: object, later: timedelta, outcome: str) -> None:
    verdicts = evaluate(clicks(NOON, NOON + later), history(window=window_from_wire(window)), State())
    assert [verdict.outcome.value for verdict in verdicts] == ["billed", outcome]
    assert verdicts[1].duplicate_of == (verdicts[0].action.id if outcome == "duplicate" else None)


def test_r6_days_count_from_winners_and_not_from_duplicates() -> None:
    actions = clicks(NOON, NOON + 2 * DAY, NOON + 4 * DAY, NOON + 5 * DAY)
    verdicts = evaluate(actions, history(window=DuplicateWindow("days", 3)), State())
    assert [verdict.outcome.value for verdict in verdicts] == ["billed", "duplicate", "billed", "duplicate"]


def test_r6_days_count_in_both_directions() -> None:
    frozen_late = replace(make_action(1, 0, NOON, 10, None), billing_period=202402)
    later_billed_earlier_happened = replace(make_action(2, 0, NOON - 2 * DAY, 10, None), billing_period=202403)
    verdicts = evaluate(
        [frozen_late, later_billed_earlier_happened], history(window=DuplicateWindow("days", 3)), State()
    )
    assert [verdict.outcome for verdict in verdicts] == [Outcome.BILLED, Outcome.DUPLICATE]


@pytest.mark.parametrize(
    ("winner_at", "winner_billed_in", "outcome"),
    [
        (NOON - DAY, 202401, Outcome.DUPLICATE),
        (NOON + DAY, 202401, Outcome.BILLED),
        (NOON - DAY, 202402, Outcome.BILLED),
    ],
)
def test_r6_only_a_winner_that_is_earlier_in_the_order_makes_a_duplicate(
    winner_at: datetime, winner_billed_in: int, outcome: Outcome
) -> None:
    action = make_action(0, 0, NOON, 10, None)
    winner = winner_from_action(replace(make_action(1, 0, winner_at, 10, None), billing_period=winner_billed_in))
    assert [v.outcome for v in evaluate([action], history(), State(winners={action.key: [winner]}))] == [outcome]


def test_r6_a_winner_capped_to_nothing_still_holds_its_key() -> None:
    actions = [make_action(0, 1, NOON, 10, None), *(make_action(n, 2, NOON + n * DAY, 10, None) for n in (1, 2))]
    assert outcomes(evaluate(actions, history(cap_minor=10), State())) == [
        ("billed", 10),
        ("capped", 0),
        ("duplicate", 0),
    ]


def test_r7_the_action_that_crosses_the_cap_is_billed_in_part() -> None:
    actions = clicks(*(NOON + n * DAY for n in range(4)), value=7, keys=4)
    verdicts = evaluate(actions, history(cap_minor=17), State())
    assert outcomes(verdicts) == [("billed", 7), ("billed", 7), ("partly_billed", 3), ("capped", 0)]


@pytest.mark.parametrize(
    ("cap", "billed"), [(None, [10, 10, 10]), (0, [0, 0, 0]), (10, [10, 0, 0]), (20, [10, 10, 0]), (100, [10, 10, 10])]
)
def test_r7_caps(cap: int | None, billed: list[int]) -> None:
    actions = clicks(*(NOON + n * DAY for n in range(3)), keys=3)
    assert [v.billed_minor for v in evaluate(actions, history(cap_minor=cap), State())] == billed


def test_r7_more_used_than_the_cap_allows_bills_nothing() -> None:
    """As after terms with a smaller cap, or a return that was taken back."""
    verdicts = evaluate(clicks(NOON), history(cap_minor=10), State(used_minor={202401: 15}))
    assert outcomes(verdicts) == [("capped", 0)]


def test_r7_a_lifetime_cap_adds_up_over_periods_and_credits_give_room_back() -> None:
    actions = clicks(NOON, NOON + 30 * DAY, NOON + 60 * DAY, keys=3)
    terms = history(cap_minor=25, cap_scope=CapScope.LIFETIME)
    assert [v.billed_minor for v in evaluate(actions, terms, State())] == [10, 10, 5]
    state = State(used_minor={202312: 20}, credited_minor={202402: 8, 202404: 100})
    assert [v.billed_minor for v in evaluate(actions, terms, state)] == [5, 8, 0]


def test_r7_what_costs_nothing_is_billed_even_after_the_cap() -> None:
    actions = [make_action(0, 0, NOON, 10, None), make_action(1, 1, NOON + DAY, 0, None)]
    assert outcomes(evaluate(actions, history(cap_minor=10), State())) == [("billed", 10), ("billed", 0)]


@pytest.mark.parametrize("hold_status", [HoldStatus.HELD, HoldStatus.RETURNED])
def test_r10_held_and_returned_neither_hold_a_key_nor_use_the_cap(hold_status: HoldStatus) -> None:
    first, second = clicks(NOON, NOON + DAY)
    verdicts = evaluate([replace(first, hold_status=hold_status), second], history(cap_minor=10), State())
    assert outcomes(verdicts) == [(hold_status.value, 0), ("billed", 10)]


def test_r8_ties_are_decided_by_lead_then_type_then_level_then_occurrence() -> None:
    one = make_action(5, 0, NOON, 10, None)
    tied = [
        replace(one, lead_id=lead, action_type_key=kind, level_key=level, occurrence=occurrence)
        for lead in (make_action(1, 0, NOON, 1, None).lead_id, one.lead_id)
        for kind in ("a", "b")
        for level in ("high", "low")
        for occurrence in (0, 1)
    ]
    assert [v.action for v in evaluate(reversed(tied), history(), State())] == tied


@st.composite
def actions_of_one_customer(draw: st.DrawFn) -> list[Action]:
    """Up to twenty actions with many ties, shared keys, late billing and things held."""
    result = []
    for number in range(draw(st.integers(0, 20))):
        at = datetime(2024, draw(st.integers(1, 3)), draw(st.integers(1, 6)), tzinfo=UTC)
        closed = draw(st.sampled_from([None, None, 202401, 202402]))
        one = make_action(number, draw(st.integers(0, 4)), at, draw(st.sampled_from([0, 1, 3, 10])), closed)
        result.append(
            replace(one, hold_status=draw(st.sampled_from([HoldStatus.COUNTED, HoldStatus.COUNTED, *HoldStatus])))
        )
    return result


@given(actions_of_one_customer(), terms_histories(), st.randoms(use_true_random=False))
def test_r8_any_permutation_gives_the_same_verdicts(actions: list[Action], terms: TermsHistory, random: Random) -> None:
    verdicts = evaluate(actions, terms, State())
    random.shuffle(actions)
    assert evaluate(actions, terms, State()) == verdicts
    assert [v.action for v in verdicts] == sorted(actions, key=in_evaluation_order)


@given(actions_of_one_customer(), terms_histories())
def test_r6_every_duplicate_has_an_earlier_winner_and_no_winner_lies_in_the_window_of_another(
    actions: list[Action], terms: TermsHistory
) -> None:
    winners: dict[object, list[Verdict]] = defaultdict(list)
    for verdict in evaluate(actions, terms, State()):
        action = verdict.action
        window = terms.at(action.billing_period).window
        covering = [
            winner.action.id
            for winner in winners[action.key]
            if window.covers(winner.action.occurred_at, winner.action.own_period, action.occurred_at, action.own_period)
        ]
        assert verdict.duplicate_of == (covering[0] if verdict.outcome is Outcome.DUPLICATE else None)
        if verdict.outcome in WINNING:
            assert not covering
            winners[action.key].append(verdict)


@given(actions_of_one_customer(), st.integers(0, 40))
def test_r7_a_period_is_billed_up_to_its_cap_and_one_action_at_most_in_part(actions: list[Action], cap: int) -> None:
    by_period: dict[int, list[Verdict]] = defaultdict(list)
    for verdict in evaluate(actions, history(cap_minor=cap), State()):
        if verdict.outcome in WINNING:
            by_period[verdict.action.billing_period].append(verdict)
    for verdicts in by_period.values():
        assert sum(v.billed_minor for v in verdicts) == min(cap, sum(v.action.value_minor for v in verdicts))
        assert sum(v.outcome is Outcome.PARTLY_BILLED for v in verdicts) <= 1


@given(actions_of_one_customer(), terms_histories())
def test_r9_money_and_counts_are_conserved(actions: list[Action], terms: TermsHistory) -> None:
    totals = Totals()
    verdicts = evaluate(actions, terms, State())
    for verdict in verdicts:
        totals.add(verdict.outcome, verdict.action.value_minor, verdict.billed_minor)
    assert totals.conserved
    assert (totals.actions, totals.gross_minor) == (len(actions), sum(action.value_minor for action in actions))
    for verdict in verdicts:
        totals.add(verdict.outcome, verdict.action.value_minor, verdict.billed_minor, -1)
    assert totals == Totals()
