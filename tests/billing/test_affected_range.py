"""R8: judging the affected range gives the verdicts that judging everything gives, on random histories."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from billing.actions import Action, HoldStatus, Outcome
from billing.periods import next_period
from billing.terms import CapScope, DuplicateWindow, Terms, TermsHistory
from tests.in_memory import Ledger, ledger_in_memory, run

Draw = Callable[[st.SearchStrategy[Any]], Any]
PERIODS = (202401, 202402, 202403)
WINDOWS = [DuplicateWindow(), DuplicateWindow("period"), *(DuplicateWindow("days", days) for days in (1, 2, 5, 40))]


def make_action(number: int, key: int, occurred_at: datetime, value_minor: int, closed_through: int | None) -> Action:
    """An action as intake makes it, of the key with that number; three numbers in a row are of one lead."""
    own = occurred_at.year * 100 + occurred_at.month
    return Action(
        id=UUID(int=1000 + number),
        lead_id=UUID(int=number // 3),
        product_id=UUID(int=3),
        action_type=f"type {key}",
        action_type_key=f"type {key}",
        engagement_level="High",
        level_key="high",
        occurred_at=occurred_at,
        occurrence=number % 3,
        key=UUID(int=100 + key),
        own_period=own,
        billing_period=own if closed_through is None else max(own, next_period(closed_through)),
        value_minor=value_minor,
        rate_rule_id=1,
    )


@st.composite
def terms_histories(draw: st.DrawFn) -> TermsHistory:
    """One to three versions of terms."""
    starts = [0, *draw(st.sets(st.sampled_from(PERIODS[1:]), max_size=2))]
    versions = []
    for start in starts:
        cap = draw(st.sampled_from([None, 0, 1, 5, 7, 10, 20, 100]))
        versions.append((start, Terms(cap, draw(st.sampled_from(CapScope)), draw(st.sampled_from(WINDOWS)))))
    return TermsHistory(versions)


def instant(draw: Draw) -> datetime:
    """An instant in one of three months, often the same as another's."""
    month = draw(st.integers(1, 3))
    return datetime(2024, month, draw(st.integers(1, 8)), tzinfo=UTC) + timedelta(hours=12 * draw(st.integers(0, 1)))


def history(draw: Draw, ledger: Ledger) -> None:
    """Batches and events, each compared with judging everything."""
    number = 0
    numbers = draw(st.randoms(use_true_random=False)).sample(range(60), 60)
    note(f"terms {list(zip(ledger.terms._starts, ledger.terms.versions, strict=True))}")
    for _ in range(draw(st.integers(1, 15))):
        event = draw(st.sampled_from(["batch"] * 8 + ["close"] + ["stand"] * 4 + ["correct"]))
        if event == "batch":
            new = []
            for _ in range(draw(st.integers(1, 4))):
                value = draw(st.sampled_from([0, 1, 2, 5, 10]))
                new.append(
                    make_action(numbers[number], draw(st.integers(0, 4)), instant(draw), value, ledger.closed_through)
                )
                number += 1
            batch = [(a.id.int - 1000, a.key.int - 100, f"{a.occurred_at:%m-%d %H}", a.value_minor) for a in new]
            note(f"batch {batch}")
            run(ledger.judge_new(new))
        elif event == "close":
            period = PERIODS[0] if ledger.closed_through is None else next_period(ledger.closed_through)
            if period < PERIODS[-1]:
                note(f"close {period}")
                ledger.closed_through = period
        elif ledger.verdicts:
            action_id = draw(st.sampled_from(sorted(ledger.verdicts)))
            is_open = ledger.policy.is_open(ledger.verdicts[action_id].action.billing_period)
            if event == "correct":
                value = draw(st.sampled_from([0, 1, 2, 5, 10]))
                right = make_action(
                    numbers[number], draw(st.integers(0, 4)), instant(draw), value, ledger.closed_through
                )
                number += 1
                note(f"correct {action_id.int - 1000} {right.id.int - 1000} {right.key.int - 100} {right.occurred_at}")
                run(ledger.correct(action_id, right))
            elif is_open:
                hold_status = draw(st.sampled_from(HoldStatus))
                note(f"{hold_status} {action_id.int - 1000}")
                run(ledger.change_hold_status(action_id, hold_status))
            else:
                note(f"credit {action_id.int - 1000}")
                run(ledger.credit(action_id))
        for expected in ledger.whole():
            found = ledger.verdicts[expected.action.id]
            as_whole = (expected.outcome, expected.billed_minor)
            assert (found.outcome, found.billed_minor) == as_whole, expected.action.id.int - 1000


def at(month: int, day: int) -> datetime:
    return datetime(2024, month, day, tzinfo=UTC)


def judged(terms: Terms, *batches: list[Action]) -> Ledger:
    """A ledger that has judged batches one after the other, and says what judging everything says."""
    ledger = Ledger(TermsHistory([(0, terms)]))
    with ledger_in_memory():
        for batch in batches:
            run(ledger.judge_new(batch))
    assert {v.action.id: v for v in ledger.whole()} == ledger.verdicts
    return ledger


@pytest.mark.parametrize("days", [1, 0], ids=["on different days", "at one instant"])
def test_r8_room_that_a_displaced_winner_frees_goes_to_winners_between_the_crossing_and_a_later_new_action(
    days: int,
) -> None:
    """Failed before: a new action that was billed in part was taken for the crossing, however late it came."""
    cheap_and_earlier, expensive, small, other, capped, late = (
        make_action(3 * n, max(n - 1, 0), at(1, 1 + days * n), value, None)
        for n, value in enumerate((2, 10, 1, 1, 5, 10))
    )
    ledger = judged(Terms(cap_minor=10), [expensive, small, other, capped], [cheap_and_earlier, late])
    assert ledger.verdicts[capped.id].billed_minor == 5
    assert ledger.verdicts[late.id].billed_minor == 1


def test_r8_a_duplicate_that_becomes_a_winner_may_cross_the_cap() -> None:
    """Failed before: its value was left out of the sum, and it used the cap before earlier actions did."""
    first = make_action(0, 0, at(1, 5), 1, None)
    duplicate = make_action(1, 0, at(1, 8), 50, None)
    after = make_action(2, 1, at(1, 9), 5, None)
    displaces_the_first = make_action(3, 0, at(1, 1), 1, None)
    terms = Terms(cap_minor=20, window=DuplicateWindow("days", 5))
    ledger = judged(terms, [first, duplicate, after], [displaces_the_first])
    assert [ledger.verdicts[action.id].billed_minor for action in (first, duplicate, after)] == [0, 19, 0]


def test_r8_winners_of_periods_before_the_new_action_stay_as_they_are() -> None:
    """Failed before: a winner of an earlier period was judged again without what used its cap."""
    uses_the_cap, capped = make_action(0, 0, at(1, 1), 1, None), make_action(1, 1, at(1, 2), 1, None)
    displaced, new = make_action(2, 1, at(2, 1), 0, None), make_action(3, 1, at(2, 1), 0, None)
    ledger = judged(Terms(cap_minor=1, window=DuplicateWindow("period")), [uses_the_cap, capped, displaced], [new])
    assert ledger.verdicts[capped.id].outcome is Outcome.CAPPED


def test_r8_a_duplicate_of_a_customer_whose_cap_is_just_full_reads_no_more_than_the_crossing() -> None:
    """Failed before: as no winner was billed in part at the crossing, all winners after it were read, every time."""
    full = [make_action(n, n, at(1, 1) + timedelta(minutes=n), 10, None) for n in range(10)]
    capped = [make_action(n, n, at(1, 2) + timedelta(minutes=n), 10, None) for n in range(10, 500)]
    ledger = judged(Terms(cap_minor=100), full + capped)
    with ledger_in_memory():
        run(ledger.judge_new([make_action(900, 3, at(1, 1) + timedelta(minutes=5, seconds=30), 10, None)]))
    assert ledger.read <= 11


@given(st.data(), terms_histories())
def test_r8_judging_the_affected_range_gives_what_judging_everything_gives(
    data: st.DataObject, terms: TermsHistory
) -> None:
    with ledger_in_memory():
        history(data.draw, Ledger(terms))
