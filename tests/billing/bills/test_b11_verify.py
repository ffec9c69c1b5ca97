"""B11: a bill is proven from its file alone, or the first difference is named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.bills.credit_notes import TakenBack, cancelling_note
from billing.bills.digest import document_from_bill
from billing.bills.lines import Adjustment, lines_of
from billing.bills.values import Content, TermsOfBill
from billing.bills.verify import difference_in_file
from billing.errors import InvalidValue
from tests.billing.bills.builders import ISSUE, S20, content, contents, credit, product

BILL = content(*lines_of(TermsOfBill(tax=S20), [product(1234)], [credit(100)], {}, [Adjustment("Fee", 500, "agreed")]))


def document() -> Any:
    return json.loads(json.dumps(document_from_bill(BILL, ISSUE)))


@given(contents())
def test_b11_every_bill_is_proven_from_its_file(bill: Content) -> None:
    assert difference_in_file(json.dumps(document_from_bill(bill, ISSUE), indent=2).encode()) is None


@given(contents(), st.data())
def test_b11_a_credit_note_is_proven_as_well(bill: Content, data: st.DataObject) -> None:
    noted = {line.number: data.draw(st.integers(0, max(0, line.net_minor))) for line in bill.lines}
    note = cancelling_note(bill, TakenBack(noted, {}), "wrong partner")
    file = document_from_bill(note, ISSUE)
    assert difference_in_file(json.dumps(file).encode()) is None


@pytest.mark.parametrize(
    ("path", "value", "difference"),
    [
        (["bill", "net"], "16.33", "net is 16.33 in the file and 16.34 by its own figures"),
        (["bill", "total"], "19.60", "total is 19.60 in the file and 19.61 by its own figures"),
        (["bill", "lines", 1, "net"], "1.00", "net of line 2 is 1.00 in the file and -1.00 by its own figures"),
        (["bill", "taxes", 0, "tax"], "3.26", "tax of tax block 1 is 3.26 in the file and 3.27 by its own figures"),
        (["bill", "more"], 1, "more is there only in the file"),
        (
            ["bill", "lines", 0, "unit_price"],
            "12.340",
            "unit price of line 1 is 12.340 in the file and 12.34 by its own figures",
        ),
        (["bill", "lines"], [], "tax block 1 is there only in the file"),
        (["issue", "due"], "18.60", "due of issue is 18.60 in the file and 18.61 by its own figures"),
    ],
)
def test_b11_the_first_difference_is_named(path: list[Any], value: object, difference: str) -> None:
    changed = document()
    _put(changed, path, value)
    assert difference_in_file(json.dumps(changed).encode()) == difference


@pytest.mark.parametrize(
    ("path", "value", "proof"),
    [
        (["bill", "buyer", "name"], "Another", "digest"),
        (["bill", "lines", 0, "text"], "another", "digest"),
        (["bill", "lines", 0, "actions"], True, "digest"),
        (["issue", "number"], "ACME-0008", "seal"),
        (["issue", "corrected"], {}, "seal"),
    ],
)
def test_b11_what_no_sum_shows_is_shown_by_digest_and_seal(path: list[Any], value: object, proof: str) -> None:
    changed = document()
    _put(changed, path, value)
    found = difference_in_file(json.dumps(changed).encode())
    assert found is not None
    assert found.startswith(f"{proof} is {changed[proof]} in the file and ")


@given(st.data())
def test_b11_no_single_change_of_a_value_goes_unseen(data: st.DataObject) -> None:
    changed = document()
    path = data.draw(st.sampled_from(list(_paths(changed))))
    _put(changed, path, data.draw(st.sampled_from(["0.01", 7, None, "x", "2024-01"])))
    if changed == document():
        return
    assert _seen(json.dumps(changed).encode())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        json.dumps(document_from_bill(BILL, ISSUE)).replace('"12.34"', '"1e999999999"').encode(),
        json.dumps(document_from_bill(BILL, ISSUE)).replace('"net": "12.34"', '"net": "12.34", "net": "1"').encode(),
        json.dumps(document_from_bill(BILL, ISSUE)).replace('"quantity": 1', '"quantity": 1.0').encode(),
    ],
)
def test_b11_another_file_is_no_bill(text: bytes) -> None:
    with pytest.raises(InvalidValue, match="it is no bill of Leadger as JSON"):
        difference_in_file(text)


def _seen(text: bytes) -> bool:
    try:
        return difference_in_file(text) is not None
    except InvalidValue:
        return True


def _put(value: Any, path: list[Any], new: object) -> None:
    for step in path[:-1]:
        value = value[step]
    value[path[-1]] = new


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Any:
    steps = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    yield from ([*path, step] for step in steps)
    for step in steps:
        yield from _paths(value[step], (*path, step))
