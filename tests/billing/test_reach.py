"""The incremental path gives what judging everything gives (R8): `billing.reach` and `db.judge` on random histories."""

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from billing.actions import Action, Outcome, Standing
from billing.periods import next_period
from billing.terms import CapScope, DuplicateWindow, Terms, TermsHistory
from tests.in_memory import Ledger, ledger_in_memory, run

PERIODS = (202401, 202402, 202403)
WINDOWS = [DuplicateWindow(), DuplicateWindow("period"), *(DuplicateWindow("days", days) for days in (1, 2, 5, 40))]


def make_action(number: int, key: int, occurred_at: datetime, value_minor: int, closed_through: int | None) -> Action:
    """An action as intake makes it, of the key with that number."""
    own = occurred_at.year * 100 + occurred_at.month
    return Action(
        id=UUID(int=1000 + number),
        lead_id=UUID(int=number),
        product_id=UUID(int=3),
        action_type=f"type {key}",
        action_type_key=f"type {key}",
        engagement_level="High",
        level_key="high",
        occurred_at=occurred_at,
        occurrence=0,
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


def instant(draw: st.DrawFn) -> datetime:
    """An instant in one of three months, often the same as another's."""
    month = draw(st.integers(1, 3))
    return datetime(2024, month, draw(st.integers(1, 8)), tzinfo=UTC) + timedelta(hours=12 * draw(st.integers(0, 1)))


def history(draw: st.DrawFn, ledger: Ledger) -> None:
    """Batches and events, each compared with judging everything."""
    number = 0
    numbers = draw(st.permutations(range(60)))
    for _ in range(draw(st.integers(1, 12))):
        event = draw(st.sampled_from(["batch"] * 8 + ["close", "stand", "stand"]))
        if event == "batch":
            new = []
            for _ in range(draw(st.integers(1, 4))):
                value = draw(st.sampled_from([0, 1, 2, 5, 10]))
                new.append(make_action(numbers[number], draw(st.integers(0, 4)), instant(draw), value, ledger.closed_through))
                number += 1
            run(ledger.judge_new(new))
        elif event == "close":
            period = PERIODS[0] if ledger.closed_through is None else next_period(ledger.closed_through)
            if period < PERIODS[-1]:
                ledger.closed_through = period
        elif ledger.verdicts:
            action_id = draw(st.sampled_from(sorted(ledger.verdicts)))
            if ledger.policy.is_open(ledger.verdicts[action_id].action.billing_period):
                ledger.stand(action_id, draw(st.sampled_from(Standing)))
            else:
                ledger.credit(action_id)
        for expected in ledger.whole():
            found = ledger.verdicts[expected.action.id]
            assert (found.outcome, found.billed_minor) == (expected.outcome, expected.billed_minor)


@given(st.data(), terms_histories())
def test_r8_the_incremental_path_gives_what_judging_everything_gives(data: st.DataObject, terms: TermsHistory) -> None:
    with ledger_in_memory():
        history(data.draw, Ledger(terms))
