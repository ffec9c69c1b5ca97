"""B4: digest and seal are SHA-256 over RFC 8785 JSON, and change with everything that they prove."""

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from hashlib import sha256

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from billing.bills.canonical_json import Json, canonical_json
from billing.bills.digest import digest_of, document_from_bill, seal_of
from billing.bills.issue_wire import issue_from_json, json_from_issue
from billing.bills.lines import Adjustment, lines_of
from billing.bills.values import Content, Party, TermsOfBill
from billing.bills.wire import content_from_json, json_from_content
from billing.errors import InvalidValue
from tests.billing.bills.builders import ISSUE, S7, S20, content, contents, credit, product

plain = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text()
values = st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


@given(values)
def test_b04_our_json_is_that_of_rfc_8785(value: Json) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)


def test_b04_names_are_sorted_by_utf_16_and_little_is_escaped() -> None:
    """U+1F600 is written as two code units from U+D83D on, so it stands before U+FB33: the example of the RFC."""
    value: Json = {"€": 1, "\r": 2, "\ufb33": 3, "1": 4, "😀": 5, "\x80": 6, "ö": 7}
    assert canonical_json(value) == '{"\\r":2,"1":4,"\x80":6,"ö":7,"€":1,"😀":5,"\ufb33":3}'.encode()
    assert canonical_json('€$\x0f\nA\'B"\\\\"/\x7f') == '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/\x7f"'.encode()


@pytest.mark.parametrize("value", [1.0, 2**53, -(2**53), "\ud800", {"a": ["\udfff"]}, {"\ud800": 1}, Decimal(1), b"a"])
def test_b04_what_readers_could_take_for_something_else_has_no_digest(value: Json) -> None:
    with pytest.raises(InvalidValue):
        canonical_json(value)


@given(contents())
def test_b04_a_content_survives_the_wire(bill: Content) -> None:
    assert content_from_json(json.loads(json.dumps(json_from_content(bill)))) == replace(bill, lines=list(bill.lines))
    assert issue_from_json(json_from_issue(bill, ISSUE)) == ISSUE


def test_b04_anybody_can_compute_digest_and_seal() -> None:
    bill = content(*lines_of(TermsOfBill(tax=S20), [product(1234)], [], {}, []))
    document = document_from_bill(bill, ISSUE)
    assert document["digest"] == sha256(rfc8785.dumps(document["bill"])).hexdigest()
    sealed = {"bill": document["bill"], "issue": document["issue"]}
    assert document["seal"] == sha256(rfc8785.dumps(sealed)).hexdigest()
    # Fixed for ever: bills that were issued are proven by it.
    assert document["digest"] == "38a2e6ab3f24272f4c68541e03b65f58006bf7d08e12dddac903377741f6beca"


LINES = lines_of(TermsOfBill(tax=S20), [product(1234)], [credit(100)], {}, [Adjustment("a", 5, "r")])
BILL = content(*LINES)


@pytest.mark.parametrize(
    "changed",
    [
        {"partner": "other"},
        {"period": 202405},
        {"currency": "USD"},
        {"lines": LINES[:2]},
        {"lines": [*LINES[:2], replace(LINES[2], reason="another")]},
        {"lines": [LINES[0], replace(LINES[1], corrects=202402), LINES[2]]},
        {"lines": [replace(LINES[0], duplicate_savings_minor=1), *LINES[1:]]},
        {"lines": [replace(LINES[0], tax=S7), *LINES[1:]]},
        {"seller": Party("Another")},
        {"buyer": Party("Another")},
        {"terms": TermsOfBill(tax=S20, payment_days=31)},
        {"terms": TermsOfBill(tax=S20, po_number="PO-1")},
        {"usage": {"api": 1}},
        {"report_version": 4},
        {"report_digest": "cd" * 32},
        {"tax_notes": {S20: "note"}},
    ],
)
def test_b04_the_digest_tells_any_change(changed: dict[str, object]) -> None:
    assert digest_of(replace(BILL, **changed)) != digest_of(BILL)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [
        {"number": "ACME-0008"},
        {"issued_on": date(2024, 5, 3)},
        {"due_on": date(2024, 6, 2)},
        {"corrected": {202403: "ACME-0005"}},
        {"applied_minor": 101},
        {"language": "de"},
        {"paper": "Letter"},
    ],
)
def test_b04_the_seal_tells_any_change_and_the_digest_stays(changed: dict[str, object]) -> None:
    issue = replace(ISSUE, **changed)  # type: ignore[arg-type]
    assert seal_of(BILL, issue) != seal_of(BILL, ISSUE)
    assert document_from_bill(BILL, issue)["digest"] == digest_of(BILL)
