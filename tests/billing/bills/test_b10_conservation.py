"""B3, B10: a bill is what the ledger of leads says, and a stale one says where it differs."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given

from billing.bills.conservation import Ledger, Sums, difference_to_ledger, net_by_kind
from billing.bills.differences import first_difference
from billing.bills.lines import Adjustment, lines_of
from billing.bills.values import Content, LineKind, Party, TermsOfBill
from billing.bills.wire import json_from_content
from tests.billing.bills.builders import S7, S20, content, contents, credit, product

TERMS = TermsOfBill(monthly_limit=10, overage_unit_cost=Decimal("0.5"), tax=S20)
LINES = lines_of(
    TERMS, [product(700), product(300, "web")], [credit(40)], {"api": 12}, [Adjustment("Fee", 500, "agreed")]
)
BILL = content(*LINES, usage={"api": 12})


def test_b10_leads_and_credits_are_those_of_the_ledger() -> None:
    assert difference_to_ledger(LINES, Ledger(1000, 40)) is None
    assert difference_to_ledger(LINES, Ledger(1001, 40)) == (
        "The bill has leads of 10.00, and the final report billed 10.01."
    )
    assert difference_to_ledger(LINES, Ledger(1000, 41)) == (
        "The bill has credits of 0.40, and the period credited 0.41."
    )
    assert net_by_kind(LINES) == {
        LineKind.LEADS: 1000,
        LineKind.CREDIT: -40,
        LineKind.OVERAGE: 100,
        LineKind.ADJUSTMENT: 500,
    }


def test_b10_once_all_is_billed_the_bills_ask_for_what_was_agreed() -> None:
    sums = Sums(1500, 1000, 40, 100, 500, 60)
    assert sums.difference_minor == 0
    assert sums._replace(returned_minor=41).difference_minor == 1
    assert sums._replace(net_minor=1499).difference_minor == -1


DEARER = replace(LINES[0], unit_price=Decimal(8))
PAID_LATER = TermsOfBill(tax=S20, payment_days=60)


@pytest.mark.parametrize(
    ("changed", "where", "then", "now"),
    [
        ({"lines": [DEARER, *LINES[1:]]}, "unit price of line 1", "7.00", "8.00"),
        ({"lines": [*LINES[:-1], replace(LINES[-1], tax=S7)]}, "tax rate of line 5", "20.00", "7.00"),
        ({"lines": [*LINES[:-1], replace(LINES[-1], tax=None)]}, "tax category of line 5", "S", "nothing"),
        ({"buyer": Party("Acme Inc")}, "name of buyer", "Acme Ltd", "Acme Inc"),
        ({"report_version": 4}, "version of report", "3", "4"),
        ({"tax_notes": {S20: "VAT"}}, "note of tax block 1", "nothing", "VAT"),
        ({"terms": PAID_LATER}, "payment days of terms", "30", "60"),
    ],
)
def test_b03_a_stale_bill_says_the_first_difference(
    changed: dict[str, object], where: str, then: str, now: str
) -> None:
    assert _stale(changed) == f"{where} is {then} on the bill and {now} now"


def test_b03_what_is_there_only_once_is_a_difference() -> None:
    assert _stale({"lines": LINES[:-1]}) == "line 5 is there only on the bill"
    assert _stale({"usage": {"api": 12, "sms": 1}}) == "sms of usage is there only now"


def test_b03_true_is_not_1() -> None:
    difference = first_difference({"late": 1}, {"late": True})
    assert difference is not None
    assert difference.sentence("on the bill", "now") == "late is 1 on the bill and True now"


@given(contents())
def test_b03_a_bill_does_not_differ_from_itself(bill: Content) -> None:
    assert first_difference(json_from_content(bill), json_from_content(bill)) is None


def _stale(changed: dict[str, object]) -> str:
    now = replace(BILL, **changed)  # type: ignore[arg-type]
    difference = first_difference(json_from_content(BILL), json_from_content(now))
    assert difference is not None
    return difference.sentence("on the bill", "now")
