"""B1, B7: from when a partner is billed, numbers, dates, and what the blocks of a bill must say."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.bills.issuing import due_date, issue_date, missing_in_blocks
from billing.bills.lines import lines_of
from billing.bills.numbers import prefix_from_id
from billing.bills.values import LineTax, Party, TermsOfBill
from billing.contracts.preferences import number_prefix_from_wire
from billing.contracts.tax import TaxCategory
from tests.billing.bills.builders import BUYER, REVERSE, S20, SELLER, content, credit, product


@pytest.mark.parametrize(
    ("external_id", "taken", "prefix"),
    [
        ("acme", [], "ACME"),
        ("acme", ["ACME"], "ACME2"),
        ("acme", ["ACME", "ACME2"], "ACME3"),
        ("customer-123", [], "CUSTOMER123"),
        ("customer-number-123", [], "CUSTOMERNUMB"),
        ("customer-number-123", ["CUSTOMERNUMB"], "CUSTOMERNUM2"),
        ("Müller & Söhne", [], "MULLERSOHNE"),
        ("straße", [], "STRASSE"),
        ("a", [], "A2"),
        ("a", ["A2"], "A3"),
        ("株式会社", [], "10"),
        ("株式会社", ["10"], "11"),
        ("6c9d7a54-21a1-5d0e-9c34-7f1f0b3a6d01", [], "6C9D7A5421A1"),
    ],
)
def test_b07_a_prefix_comes_from_the_partners_id(external_id: str, taken: list[str], prefix: str) -> None:
    assert prefix_from_id(external_id, taken) == prefix


@given(st.lists(st.text(min_size=1, max_size=14) | st.sampled_from(["acme", "ACME!", "a"]), max_size=30))
def test_b07_prefixes_are_unique_and_allowed(external_ids: list[str]) -> None:
    taken: set[str] = set()
    for external_id in external_ids:
        prefix = prefix_from_id(external_id, taken)
        assert prefix not in taken
        taken.add(number_prefix_from_wire(prefix))


@pytest.mark.parametrize(
    ("now", "timezone", "last", "expected"),
    [
        ("2024-05-01T00:30:00", "UTC", None, date(2024, 5, 1)),
        ("2024-05-01T00:30:00", "America/New_York", None, date(2024, 4, 30)),
        ("2024-05-01T23:30:00", "Europe/Berlin", None, date(2024, 5, 2)),
        ("2024-05-01T12:00:00", "UTC", date(2024, 4, 30), date(2024, 5, 1)),
        ("2024-05-01T12:00:00", "UTC", date(2024, 5, 3), date(2024, 5, 3)),
    ],
)
def test_b07_the_issue_date_is_the_partners_day_and_never_before_the_last(
    now: str, timezone: str, last: date | None, expected: date
) -> None:
    assert issue_date(datetime.fromisoformat(now).replace(tzinfo=UTC), timezone, last) == expected


def test_b07_a_bill_is_due_after_the_payment_days() -> None:
    assert due_date(date(2024, 1, 31), 30) == date(2024, 3, 1)
    assert due_date(date(2024, 1, 31), 0) == date(2024, 1, 31)


OUTSIDE = LineTax(TaxCategory.OUTSIDE, S20.rate * 0)
NAMED, ADDRESSED = Party("A"), Party("A", "Street 1")


@pytest.mark.parametrize(
    ("tax", "seller", "buyer", "missing"),
    [
        (None, NAMED, NAMED, []),
        (None, Party(""), NAMED, ["the seller's name"]),
        (OUTSIDE, NAMED, NAMED, []),
        (S20, NAMED, NAMED, ["the seller's address", "the partner's address", "the seller's tax id"]),
        (S20, SELLER, ADDRESSED, []),
        (S20, ADDRESSED, ADDRESSED, ["the seller's tax id"]),
        (REVERSE, SELLER, ADDRESSED, ["the partner's tax id"]),
        (REVERSE, ADDRESSED, ADDRESSED, ["the seller's tax id", "the partner's tax id"]),
        (REVERSE, SELLER, BUYER, []),
    ],
)
def test_b07_an_issue_names_what_the_blocks_lack(
    tax: LineTax | None, seller: Party, buyer: Party, missing: list[str]
) -> None:
    lines = lines_of(TermsOfBill(tax=tax), [product(100)], [], {}, [])
    assert missing_in_blocks(content(*lines, seller=seller, buyer=buyer)) == missing


def test_b07_the_tax_of_a_credit_asks_for_the_blocks_too() -> None:
    lines = lines_of(TermsOfBill(tax=None), [product(100)], [credit(50, tax=S20)], {}, [])
    assert missing_in_blocks(content(*lines, seller=NAMED, buyer=ADDRESSED)) == [
        "the seller's address",
        "the seller's tax id",
    ]
