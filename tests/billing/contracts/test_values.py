"""What a contract is made of: each value read in one way, or refused with one sentence."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.contracts.addresses import address_from_wire
from billing.contracts.bank_accounts import iban_from_wire
from billing.contracts.preferences import language_from_wire, number_prefix_from_wire
from billing.contracts.tax import Tax, TaxCategory, rate_bp_from_wire, wire_from_rate_bp
from billing.contracts.unit_costs import unit_cost_from_wire, wire_from_unit_cost
from billing.contracts.usage import reported_source_from_wire, source_from_wire
from billing.errors import InvalidValue

SIX_DECIMALS = 'must be a decimal string with at most six decimals, like "0.012500"'


@pytest.mark.parametrize(
    ("read", "sent", "value"),
    [
        (unit_cost_from_wire, "0.0125", Decimal("0.012500")),
        (unit_cost_from_wire, "10000", Decimal(10_000)),
        (rate_bp_from_wire, "20", 2000),
        (rate_bp_from_wire, "5.5", 550),
        (source_from_wire, "  API Gateway ", "api gateway"),
        (source_from_wire, "Leadger", "leadger"),
        (iban_from_wire, "de89 3704 0044 0532 0130 00", "DE89370400440532013000"),
        (address_from_wire, " Acme Ltd \r\n\n1  Road ", "Acme Ltd\n1 Road"),
        (language_from_wire, "de-AT", "de-AT"),
        (number_prefix_from_wire, "ACME4", "ACME4"),
    ],
)
def test_a_value_is_read_in_one_way(read: Callable[[object], Any], sent: str, value: Any) -> None:
    assert read(sent) == value


@pytest.mark.parametrize(
    ("read", "sent", "sentence"),
    [
        *((unit_cost_from_wire, sent, SIX_DECIMALS) for sent in ("0.0000001", "-1", "1e3", "01", ".5", 0.5, "٣", None)),
        (unit_cost_from_wire, "10000.000001", "must not be more than 10000"),
        (rate_bp_from_wire, "100.01", "must not be more than 100.00"),
        (reported_source_from_wire, "LEADGER", 'must not be "leadger": those units are the leads of the final report'),
        (source_from_wire, "x" * 101, "must have 1 to 100 characters"),
        *(
            (iban_from_wire, sent, 'must be an IBAN with right check digits, like "DE89 3704 0044 0532 0130 00"')
            for sent in ("DE88370400440532013000", "DE89", "x", 7, "DE8937040044053201300٠")
        ),
        (address_from_wire, "\n \n", "must have 1 to 10 lines and at most 500 characters"),
        (address_from_wire, "\n".join("x" * 11), "must have 1 to 10 lines and at most 500 characters"),
        (address_from_wire, "a\0b", "must not contain control characters or lone surrogates"),
        (language_from_wire, "DE", 'must be a language like "de" or "de-AT"'),
        (number_prefix_from_wire, "A", 'must have 2 to 12 characters of A–Z and 0–9, like "ACME"'),
        (number_prefix_from_wire, "ACME-1", 'must have 2 to 12 characters of A–Z and 0–9, like "ACME"'),
    ],
)
def test_what_is_no_value_is_refused_with_one_sentence(
    read: Callable[[object], Any], sent: object, sentence: str
) -> None:
    with pytest.raises(InvalidValue) as refused:
        read(sent)
    assert str(refused.value) == sentence


@given(st.decimals(0, 10_000, places=6))
def test_a_unit_cost_is_written_as_it_was_read(cost: Decimal) -> None:
    written = wire_from_unit_cost(cost)
    assert len(written.partition(".")[2]) == 6
    assert unit_cost_from_wire(written) == cost


@given(st.integers(0, 100_00))
def test_a_tax_rate_is_written_as_it_was_read(rate_bp: int) -> None:
    assert rate_bp_from_wire(wire_from_rate_bp(rate_bp)) == rate_bp


@pytest.mark.parametrize(
    ("category", "rate_bp"),
    [(TaxCategory.STANDARD, 0), (TaxCategory.ZERO, 1), (TaxCategory.REVERSE_CHARGE, 2000)],
)
def test_b2_only_the_standard_category_has_a_rate(category: TaxCategory, rate_bp: int) -> None:
    with pytest.raises(InvalidValue):
        Tax(category, rate_bp)
