"""Each rule of bills is there for a story that goes wrong without it: money is lost or counts twice, or nobody gets on.

Every story ends well by the rule, and is told again with what one would write without knowing it. Where two people at
once or the database are part of a story, it is told with them.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import pytest

from billing.bills import (
    account,
    approvals,
    conservation,
    credit_notes,
    digest,
    history,
    issuing,
    lines,
    moves,
    numbers,
    tax,
    values,
    verify,
)
from billing.bills.account import Charge, Credit, Use, automatic_uses
from billing.bills.approvals import Review
from billing.bills.conservation import Ledger
from billing.bills.credit_notes import TakenBack
from billing.bills.digest import document_from_bill
from billing.bills.history import Made
from billing.bills.lines import Adjustment, CreditFigures
from billing.bills.moves import MoveRefused, Moving
from billing.bills.states import Move, State
from billing.bills.tax import BillTotals, TaxBlock
from billing.bills.values import Content, Line, LineTax, TermsOfBill
from billing.contracts.preferences import Approver
from billing.contracts.tax import TaxCategory
from billing.errors import InvalidValue, RuleViolation
from billing.zones import zone
from tests.billing.bills.builders import ISSUE, S20, content, credit, product
from tests.billing.bills.people import ADMIN, CSM, FINANCE, PEOPLE, SALES

S10 = LineTax(TaxCategory.STANDARD, Decimal("10.00"))


def bill(*nets: int, line_tax: LineTax | None = S20) -> Content:
    """A bill with a line of each amount."""
    terms = TermsOfBill(tax=line_tax)
    entered = [Adjustment(f"Work {number}", net, "agreed") for number, net in enumerate(nets)]
    return content(*lines.lines_of(terms, [], [], {}, entered), terms=terms)


def is_refused(act: Callable[[], object]) -> bool:
    try:
        act()
    except (RuleViolation, InvalidValue):
        return True
    return False


def a_month_is_billed_if_only_its_tax_is_to_be_paid() -> bool:
    """1.00 with tax, and -1.00 without."""
    return not values.is_skipped([*bill(100).lines, *bill(-100, line_tax=None).lines])


def the_tax_is_that_of_the_sum() -> bool:
    """20 % on three lines of 0.02."""
    return tax.totals_of(bill(2, 2, 2)).tax_minor == 1


def what_is_returned_gives_its_tax_back() -> bool:
    """A product was billed with tax, and is returned when the terms have none any more."""
    before, now = TermsOfBill(tax=S20), TermsOfBill()
    billed = content(*lines.lines_of(before, [product(1000)], [], {}, []))
    returned = content(*lines.lines_of(now, [], [credit(1000)], {}, []))
    return tax.totals_of(billed).gross_minor + tax.totals_of(returned).gross_minor == 0


def what_is_taken_back_mirrors_what_was_billed() -> bool:
    """10 % on 0.05, and on -0.05."""
    return sum(tax.totals_of(bill(net, line_tax=S10)).gross_minor for net in (5, -5)) == 0


def unused_units_give_no_money_back() -> bool:
    terms = TermsOfBill(monthly_limit=100, overage_unit_cost=Decimal("0.5"))
    return lines.lines_of(terms, [], [], {"api": 40}, []) == []


def what_is_below_zero_is_not_lost() -> bool:
    totals = tax.totals_of(bill(500, -1200))
    return totals.total_minor - totals.carried_forward_minor == totals.gross_minor


def a_file_cannot_have_another_number() -> bool:
    return digest.seal_of(bill(100), ISSUE) != digest.seal_of(bill(100), replace(ISSUE, number="ACME-0008"))


def each_place_is_filled_whoever_comes_first() -> bool:
    """The CSM approves, then Sales; only the CSM could fill the place of the CSM."""
    review = Review(asked=(Approver.ANY, Approver.CSM))
    for who in (CSM, SALES):
        if approvals.why_no_approval(review, who) is None:
            review = approvals.approved(review, who, None)
    return not review.empty


def two_approvals_are_of_two_people() -> bool:
    review = approvals.approved(Review(asked=(Approver.ANY, Approver.SALES)), SALES, None)
    return approvals.why_no_approval(review, SALES) is not None


def a_submitted_bill_waits_for_somebody() -> bool:
    """Sales is asked for, and nobody active is Sales or an Admin."""
    people = [CSM, FINANCE]
    try:
        after = moves.moved(Moving(State.DRAFT), Move.SUBMIT, FINANCE, asked=(Approver.SALES,), people=people)
    except MoveRefused:
        return True
    return bool(approvals.waited_for(after.review, people))


def a_maker_never_approves() -> bool:
    submitted = moves.moved(Moving(State.DRAFT), Move.SUBMIT, ADMIN, asked=(Approver.ANY,), people=PEOPLE)
    return Move.APPROVE not in moves.open_moves(submitted, ADMIN)


def whoever_hears_no_answer_asks_again() -> bool:
    """Finance submits, the answer is lost, and Sales has approved before Finance submits once more."""
    submitted = Made(Move.SUBMIT, ("user", "fay"), "digest")
    return history.is_repeated([Made(Move.APPROVE, ("user", "sam"), "digest"), submitted], submitted)


def a_later_number_has_no_earlier_date() -> bool:
    """The partner moves from Tokyo to Los Angeles between two bills of an hour."""
    now = datetime(2024, 5, 1, 3, tzinfo=UTC)
    first = issuing.issue_date(now, "Asia/Tokyo", None)
    return issuing.issue_date(now, "America/Los_Angeles", first) >= first


def two_partners_never_have_one_number() -> bool:
    first = numbers.prefix_from_id("acme", ())
    return numbers.prefix_from_id("ACME", {first}) != first


def notes_take_back_no_more_tax_than_was_asked() -> bool:
    """0.10 with 0.02 of tax, in notes of 0.03, 0.03 and 0.04."""
    billed, noted, taken_tax = bill(10), 0, 0
    for part in (3, 3, 4):
        note = credit_notes.credit_note(billed, {1: part}, TakenBack({1: noted}, {}), "agreed")
        noted, taken_tax = noted + part, taken_tax + tax.totals_of(note).tax_minor
    return taken_tax == tax.totals_of(billed).tax_minor


def what_was_returned_is_not_noted_as_well() -> bool:
    taken = TakenBack({}, {1: 1000})
    return is_refused(lambda: credit_notes.credit_note(bill(1000), {1: 1000}, taken, "agreed"))


def a_cancelled_bill_and_its_replacement_count_a_return_once() -> bool:
    """One action, billed, returned on a later bill; then the bill is cancelled and replaced, as it was."""
    note = credit_notes.cancelling_note(bill(1000), TakenBack({}, {1: 1000}), "wrong address")
    net = 1000 - 1000 - sum(line.net_minor for line in note.lines) + 1000
    return net == 0


def a_refund_leaves_nothing_to_be_owed() -> bool:
    """10.00 were paid in advance, and 8.00 are disputed."""
    charges = [Charge(UUID(int=1), date(2024, 5, 1), 1, 800, is_disputed=True)]
    return account.most_refund(charges, [Credit(UUID(int=2), 2, 1000)]) == 200


def a_dispute_is_not_settled_behind_the_partners_back() -> bool:
    charges = [Charge(UUID(int=1), date(2024, 5, 1), 1, 800, is_disputed=True)]
    return account.automatic_uses(charges, [Credit(UUID(int=2), 2, 800)]) == []


def what_is_written_off_is_not_credited_as_well() -> bool:
    """10.00 are open, of which 4.00 were returned and come off the next bill."""
    return account.write_off_minor(1000, 400) + 400 == 1000


def a_bill_unlike_its_report_is_noticed() -> bool:
    billed = content(*lines.lines_of(TermsOfBill(), [product(999)], [], {}, []))
    return conservation.difference_to_ledger(billed.lines, Ledger(1000, 0)) is not None


def a_file_that_says_two_totals_proves_nothing() -> bool:
    text = json.dumps(document_from_bill(bill(1000), ISSUE))
    return is_refused(lambda: verify.difference_in_file(text.replace('{"bill"', '{"seal": "paid", "bill"', 1).encode()))


def _adds_up_to_nothing(all_lines: Iterable[Line]) -> bool:
    return sum(line.net_minor for line in all_lines) == 0


def _tax_of_each_line(all_lines: Iterable[Line], _: Mapping[LineTax, int] | None = None) -> list[TaxBlock]:
    return [TaxBlock(each.tax, each.net_minor, tax.tax_on(each.net_minor, each.tax)) for each in all_lines if each.tax]


def _tax_of_each_note(document: Content) -> list[TaxBlock]:
    return tax.tax_blocks(document.lines)


def _taxed_as_now(figures: CreditFigures) -> Line:
    return Line(0, values.LineKind.CREDIT, figures.name, Decimal(figures.credited_minor) / 100, quantity=-1)


def _half_up(exact: Fraction) -> int:
    return (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)


def _difference_to_limit(terms: TermsOfBill, usage: Mapping[str, int]) -> Iterator[Line]:
    assert terms.monthly_limit is not None
    assert terms.overage_unit_cost is not None
    units = sum(usage.values()) - terms.monthly_limit
    yield Line(0, values.LineKind.OVERAGE, "Usage", terms.overage_unit_cost, quantity=units, unit=values.Unit.USAGE)


def _of_content_only(content: str, _: str) -> str:
    return digest.digest_of_text(content)


def _newest_is(made: Iterable[Made], asked: Made) -> bool:
    return next(iter(made)) == asked


def _over_what_was_not_returned(document: Content, *_: object) -> Content:
    return replace(document, lines=[])


def _disputed_as_well(charges: Iterable[Charge], credits_left: Iterable[Credit]) -> list[Use]:
    return automatic_uses([replace(charge, is_disputed=False) for charge in charges], credits_left)


def _left_after_notes(line: Line, taken: TakenBack) -> int:
    return line.net_minor - taken.noted_minor.get(line.number, 0)


@dataclass(frozen=True)
class Told:
    """A story, what of us it is about, and what stands there for whoever does not know the rule."""

    story: Callable[[], bool]
    where: object
    name: str
    naive: object


STORIES = {
    "B1": [Told(a_month_is_billed_if_only_its_tax_is_to_be_paid, values, "is_skipped", _adds_up_to_nothing)],
    "B2": [
        Told(the_tax_is_that_of_the_sum, tax, "tax_blocks", _tax_of_each_line),
        Told(what_is_returned_gives_its_tax_back, lines, "_credit", _taxed_as_now),
        Told(what_is_taken_back_mirrors_what_was_billed, tax, "minor_from_exact", _half_up),
        Told(unused_units_give_no_money_back, lines, "_overage", _difference_to_limit),
        Told(what_is_below_zero_is_not_lost, BillTotals, "carried_forward_minor", 0),
    ],
    "B4": [Told(a_file_cannot_have_another_number, digest, "seal_of_texts", _of_content_only)],
    "B5": [
        Told(each_place_is_filled_whoever_comes_first, approvals, "_NARROWEST_FIRST", list(reversed(Approver))),
        Told(two_approvals_are_of_two_people, Review, "has_approval_of", lambda *_: False),
        Told(a_submitted_bill_waits_for_somebody, moves, "can_be_approved", lambda *_: True),
        Told(a_maker_never_approves, moves, "_MAKING", frozenset({Move.CREATE})),
    ],
    "B6": [Told(whoever_hears_no_answer_asks_again, history, "is_repeated", _newest_is)],
    "B7": [
        Told(
            a_later_number_has_no_earlier_date,
            issuing,
            "issue_date",
            lambda now, timezone, _: now.astimezone(zone(timezone)).date(),
        ),
        Told(two_partners_never_have_one_number, numbers, "prefix_from_id", lambda name, _: name.upper()),
    ],
    "B8": [
        Told(notes_take_back_no_more_tax_than_was_asked, tax, "blocks_of", _tax_of_each_note),
        Told(what_was_returned_is_not_noted_as_well, credit_notes, "left_of_line", _left_after_notes),
        Told(
            a_cancelled_bill_and_its_replacement_count_a_return_once,
            credit_notes,
            "cancelling_note",
            _over_what_was_not_returned,
        ),
    ],
    "B9": [
        Told(
            a_refund_leaves_nothing_to_be_owed,
            account,
            "most_refund",
            lambda _, credits_left: sum(each.left_minor for each in credits_left),
        ),
        Told(a_dispute_is_not_settled_behind_the_partners_back, account, "automatic_uses", _disputed_as_well),
        Told(what_is_written_off_is_not_credited_as_well, account, "write_off_minor", lambda open_minor, _: open_minor),
    ],
    "B10": [Told(a_bill_unlike_its_report_is_noticed, conservation, "difference_to_ledger", lambda *_: None)],
    "B11": [Told(a_file_that_says_two_totals_proves_nothing, verify, "_names_once", dict)],
}


@pytest.fixture(autouse=True)
def no_tax_remembered() -> Iterator[None]:
    tax.tax_on.cache_clear()
    yield
    tax.tax_on.cache_clear()


@pytest.mark.parametrize(
    ("rule", "told"),
    [(rule, told) for rule, stories in STORIES.items() for told in stories],
    ids=lambda value: value if isinstance(value, str) else value.story.__name__,
)
def test_a_story_ends_well_by_the_rule_only(rule: str, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told.story(), rule
    tax.tax_on.cache_clear()
    monkeypatch.setattr(told.where, told.name, told.naive)
    assert not told.story(), rule
