"""R14: money is integer minor units, a decimal string on the wire, never rounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.errors import InvalidValue
from billing.money import (
    CURRENCIES,
    MOST_MINOR,
    MOST_PER_ACTION_MINOR,
    amount_from_minor,
    amount_up_to,
    check_currency,
    minor_from_amount,
)


@pytest.mark.parametrize(
    ("amount", "minor"),
    [
        ("0", 0),
        ("0.00", 0),
        ("12", 1200),
        ("12.5", 1250),
        ("12.50", 1250),
        ("0.01", 1),
        ("9999999999999.99", 10**15 - 1),
    ],
)
def test_r14_amounts(amount: str, minor: int) -> None:
    assert minor_from_amount(amount) == minor


@pytest.mark.parametrize(
    "amount",
    [
        "",
        "1.005",
        "1.000",
        "-1",
        "+1",
        "1e2",
        ".5",
        "1.",
        "01",
        "1,00",
        " 1",
        "1 ",
        "١",
        "NaN",
        "Infinity",
        "1" * 14,
        1,
        1.0,
        None,
        True,
    ],
)
def test_r14_anything_else_is_refused_and_never_rounded(amount: object) -> None:
    with pytest.raises(InvalidValue):
        minor_from_amount(amount)


@given(st.integers(-(10**15) + 1, 10**15 - 1))
def test_r14_every_amount_survives_the_wire(minor: int) -> None:
    text = amount_from_minor(minor)
    assert text[-3] == "."
    assert minor_from_amount(text.removeprefix("-")) == abs(minor)
    assert text.startswith("-") is (minor < 0)


@pytest.mark.parametrize("code", ["JPY", "KWD", "eur", "", "XXX", "EURO", "CLF"])
def test_r14_a_currency_has_two_minor_digits(code: str) -> None:
    with pytest.raises(InvalidValue):
        check_currency(code)
    assert {"EUR", "USD", "GBP"} <= CURRENCIES


@pytest.mark.parametrize(
    ("most_minor", "most", "too_much"),
    [
        (MOST_PER_ACTION_MINOR, "1000000.00", "1000000.01"),
        (MOST_MINOR, "1000000000.00", "1000000000.01"),
    ],
)
def test_r14_an_amount_has_a_limit_so_that_sums_fit(most_minor: int, most: str, too_much: str) -> None:
    """A rate of 9,999,999,999,999.99 was taken, and the sum of 9,224 actions was too large for BIGINT."""
    assert amount_up_to(most_minor, most) == most_minor
    assert most_minor * 10_000_000 < 2**63
    with pytest.raises(InvalidValue) as refusal:
        amount_up_to(most_minor, too_much)
    assert str(refusal.value) == f"must not be more than {most}"
