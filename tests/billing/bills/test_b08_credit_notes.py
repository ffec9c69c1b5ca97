"""B8: credit notes and cancelling take back what was billed, to the cent, and not more."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.bills.credit_notes import TakenBack, cancelling_note, check_return, credit_note, left_of_line
from billing.bills.lines import Adjustment, lines_of
from billing.bills.tax import totals_of
from billing.bills.values import Content, Line, TermsOfBill
from billing.errors import RuleViolation
from tests.billing.bills.builders import S20, content, contents, credit, product

BILL = content(
    *lines_of(
        TermsOfBill(tax=S20),
        [product(1000, "crm"), product(3, "web")],
        [credit(200)],
        {},
        [Adjustment("Goodwill", -100, "outage")],
    )
)
NOTHING = TakenBack({}, {})


def shown(lines: list[Line]) -> list[tuple[int, str, int]]:
    return [(line.number, line.text, line.net_minor) for line in lines]


def test_b08_a_note_has_the_lines_that_it_takes_back() -> None:
    note = credit_note(BILL, {1: 250, 2: 3}, NOTHING, "wrong price")
    assert shown(list(note.lines)) == [(1, "CRM", 250), (2, "WEB", 3)]
    totals = totals_of(note)
    assert (totals.net_minor, totals.tax_minor, totals.gross_minor) == (253, 51, 304)
    assert note.noted is not None
    assert (note.noted.reason, note.noted.cancels, note.period) == ("wrong price", False, 202404)


@pytest.mark.parametrize(
    ("amounts", "taken", "said"),
    [
        ({1: 1001}, NOTHING, "Line 1 of the bill has 10.00 left to credit, and 10.01 is asked for."),
        ({1: 0}, NOTHING, "Line 1 of the bill has 10.00 left to credit, and 0.00 is asked for."),
        ({1: 501}, TakenBack({1: 300}, {1: 200}), "Line 1 of the bill has 5.00 left to credit, and 5.01 is asked for."),
        ({1: 1, 2: 4}, NOTHING, "Line 2 of the bill has 0.03 left to credit, and 0.04 is asked for."),
        ({3: 1}, NOTHING, "Line 3 of the bill has 0.00 left to credit, and 0.01 is asked for."),
        ({4: -1}, NOTHING, "Line 4 of the bill has 0.00 left to credit, and -0.01 is asked for."),
        ({5: 1}, NOTHING, "The bill has no line 5."),
        ({}, NOTHING, "A credit note names at least one line."),
        ({1: 1}, TakenBack({}, {}, True), "The bill was written off; take the write-off back first."),
    ],
)
def test_b08_notes_and_returns_take_back_no_more_than_was_billed(
    amounts: dict[int, int], taken: TakenBack, said: str
) -> None:
    with pytest.raises(RuleViolation) as refusal:
        credit_note(BILL, amounts, taken, "reason")
    assert str(refusal.value) == said


def test_b08_a_return_beyond_what_is_left_of_its_line_is_refused() -> None:
    line = BILL.lines[0]
    check_return(line, 500, TakenBack({1: 300}, {1: 200}))
    with pytest.raises(RuleViolation) as refusal:
        check_return(line, 501, TakenBack({1: 300}, {1: 200}))
    assert str(refusal.value) == (
        "5.00 is left of line 1 of the bill, because the rest was credited; the action was billed 5.01."
    )
    with pytest.raises(RuleViolation, match="The bill was written off"):
        check_return(line, 1, TakenBack({}, {}, True))


def test_b08_cancelling_leaves_returns_on_their_bills() -> None:
    taken = TakenBack({1: 250}, {1: 100})
    note = cancelling_note(BILL, taken, "wrong partner")
    assert shown(list(note.lines)) == [
        (1, "CRM", 750),
        (2, "WEB", 3),
        (3, "CRM, returned from March 2024", -200),
        (4, "Goodwill", -100),
    ]
    assert note.noted is not None
    assert note.noted.cancels
    with pytest.raises(RuleViolation, match="The bill was written off"):
        cancelling_note(BILL, TakenBack({}, {}, True), "wrong partner")


def test_b08_tax_of_notes_is_that_of_all_noted_so_far() -> None:
    """One cent of each of three notes would be 0.00 tax each time, and the bill has 0.01 for all of them."""
    bill = content(*lines_of(TermsOfBill(tax=S20), [product(3)], [], {}, []))
    assert totals_of(bill).tax_minor == 1
    taxes = [totals_of(credit_note(bill, {1: 1}, TakenBack({1: before}, {}), "r")).tax_minor for before in range(3)]
    assert taxes == [0, 0, 1]


@given(contents(), st.data())
def test_b08_notes_and_a_cancelling_note_take_back_exactly_the_bill(bill: Content, data: st.DataObject) -> None:
    noted: Counter[int] = Counter()
    gross = 0
    for _ in range(data.draw(st.integers(0, 4))):
        taken = TakenBack(noted, {})
        open_lines = [line for line in bill.lines if left_of_line(line, taken)]
        if not open_lines:
            break
        line = data.draw(st.sampled_from(open_lines))
        amount = data.draw(st.integers(1, left_of_line(line, taken)))
        gross += totals_of(credit_note(bill, {line.number: amount}, taken, "r")).gross_minor
        noted[line.number] += amount
    gross += totals_of(cancelling_note(bill, TakenBack(noted, {}), "r")).gross_minor
    assert gross == totals_of(bill).gross_minor
