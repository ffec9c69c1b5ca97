"""B2: the lines of a bill, its tax and its totals."""

import csv
from collections import Counter, defaultdict
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.bills.lines import Adjustment, lines_of
from billing.bills.tax import TaxBlock, tax_blocks, tax_on, totals_of
from billing.bills.values import Content, Line, LineKind, LineTax, TermsOfBill, Unit, is_skipped
from billing.contracts.tax import TaxCategory
from billing.money import amount_from_minor, minor_from_exact
from tests.billing.bills.builders import S7, S20, any_credits, content, contents, credit, product, products

TERMS = TermsOfBill(monthly_limit=1000, overage_unit_cost=Decimal("0.012500"), tax=S20)


def shown(lines: list[Line]) -> list[tuple[int, str, str, int]]:
    return [(line.number, line.kind.value, line.text, line.net_minor) for line in lines]


YEAR = (Path(__file__).parents[3] / "samples/usage.csv").read_text().splitlines()
TERMS_OF_YEAR = {
    "acme": TermsOfBill(monthly_limit=10_000, overage_unit_cost=Decimal("0.012500"), tax=S20),
    "globex": TermsOfBill(monthly_limit=1_000_000, overage_unit_cost=Decimal("0.000750")),
    "initech": TermsOfBill(monthly_limit=0, overage_unit_cost=Decimal("0.250000"), usage_sources=("sms",)),
    "umbrella": TermsOfBill(monthly_limit=5_000),
}


def test_b02_the_sample_year_of_usage_gives_what_was_worked_out_by_hand_in_its_header() -> None:
    units: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in csv.DictReader(line for line in YEAR if not line.startswith("#")):
        units[row["partner"], row["period"]][row["source"]] += int(row["units"])
    totals = {
        (partner, period): totals_of(content(*lines_of(TERMS_OF_YEAR[partner], [], [], counted, [])))
        for (partner, period), counted in units.items()
    }
    assert len({period for _, period in totals}) == 12
    for partner in TERMS_OF_YEAR:
        year = [each for (whose, _), each in totals.items() if whose == partner]
        sums = [sum(getattr(each, name) for each in year) for name in ("net_minor", "tax_minor", "gross_minor")]
        by_hand = YEAR[[line.split()[:2] for line in YEAR].index(["#", "partner"]) :]
        assert ["#", partner, *map(amount_from_minor, sums)] in [line.split() for line in by_hand]


def test_b02_lines_stand_in_their_order_with_their_texts() -> None:
    lines = lines_of(
        TERMS,
        [product(5000, "web"), product(10000, "crm", actions=12, late=2, cap_savings_minor=400)],
        [credit(700, "web", 202403), credit(300, "web", 202402), credit(200, "crm", 202403, S7)],
        {"api": 1300, "leadger": 900, "sms": 1},
        [Adjustment("Goodwill", -5000, "outage of 3 April"), Adjustment("Set-up", 2500, "agreed", S7, own_tax=True)],
    )
    assert shown(lines) == [
        (1, "leads", "CRM", 10000),
        (2, "leads", "WEB", 5000),
        (3, "credit", "WEB, returned from February 2024", -300),
        (4, "credit", "CRM, returned from March 2024", -200),
        (5, "credit", "WEB, returned from March 2024", -700),
        (6, "overage", "Usage of 1,301 units, above the monthly limit of 1,000", 376),
        (7, "adjustment", "Goodwill", -5000),
        (8, "adjustment", "Set-up", 2500),
    ]
    assert [line.quantity for line in lines] == [1, 1, -1, -1, -1, 301, -1, 1]
    assert [line.tax for line in lines] == [S20, S20, S20, S7, S20, S20, S20, S7]
    assert (lines[0].actions, lines[0].late, lines[0].cap_savings_minor) == (12, 2, 400)
    assert [line.corrects for line in lines[2:5]] == [202402, 202403, 202403]
    assert [line.reason for line in lines[6:]] == ["outage of 3 April", "agreed"]


def test_b02_a_credit_is_taxed_like_the_bill_that_it_corrects() -> None:
    [line] = lines_of(TermsOfBill(tax=S20), [], [credit(100, tax=None)], {}, [])
    assert line.tax is None


@pytest.mark.parametrize(
    ("limit", "cost", "units", "net"),
    [
        (1000, "0.0125", 1000, None),
        (1000, "0.0125", 1001, 1),  # 1.25 cents
        (1000, "0.005000", 1001, 1),  # half a cent is rounded up
        (1000, "0.004999", 1001, 0),
        (0, "0.000001", 10**15, 10**11),
        (0, "9.999999", 10**15, 999999900000000000),
        (None, "0.0125", 1001, None),
        (1000, None, 1001, None),
    ],
)
def test_b02_overage(limit: int | None, cost: str | None, units: int, net: int | None) -> None:
    terms = TermsOfBill(monthly_limit=limit, overage_unit_cost=None if cost is None else Decimal(cost))
    lines = lines_of(terms, [], [], {"api": units}, [])
    assert [line.net_minor for line in lines] == ([] if net is None else [net])
    assert all(line.unit is Unit.USAGE and line.quantity == units - (limit or 0) for line in lines)


def test_b02_tax_is_rounded_once_per_category_and_rate() -> None:
    lines = lines_of(TermsOfBill(tax=S20), [product(3, str(n)) for n in range(3)], [credit(2, tax=S7)], {}, [])
    assert tax_blocks(lines) == [TaxBlock(S7, -2, 0), TaxBlock(S20, 9, 2)]  # line by line it would be 3 × 0.01
    assert [tax_on(base, S20) for base in (2, 3, -2, -3)] == [0, 1, 0, -1]
    assert [tax_on(base, LineTax(TaxCategory.STANDARD, Decimal("12.50"))) for base in (4, -4)] == [1, -1]


def test_b02_what_is_below_zero_is_carried_forward() -> None:
    bill = content(*lines_of(TermsOfBill(tax=S20), [product(1000)], [credit(3000)], {}, []))
    totals = totals_of(bill)
    assert (totals.net_minor, totals.tax_minor, totals.gross_minor) == (-2000, -400, -2400)
    assert (totals.total_minor, totals.carried_forward_minor) == (0, 2400)


@given(contents())
def test_b02_totals_add_up(bill: Content) -> None:
    totals = totals_of(bill)
    assert totals.net_minor == sum(line.net_minor for line in bill.lines)
    assert totals.gross_minor == totals.net_minor + totals.tax_minor
    assert totals.total_minor - totals.carried_forward_minor == totals.gross_minor
    assert min(totals.total_minor, totals.carried_forward_minor) == 0
    untaxed = sum(line.net_minor for line in bill.lines if line.tax is None)
    assert sum(block.base_minor for block in tax_blocks(bill.lines)) + untaxed == totals.net_minor


@given(products, any_credits, st.randoms())
def test_b02_the_order_of_what_comes_in_does_not_matter(figures: list, credited: list, random: Random) -> None:  # type: ignore[type-arg]
    lines = lines_of(TERMS, figures, credited, {}, [])
    random.shuffle(figures)
    random.shuffle(credited)
    assert lines_of(TERMS, figures, credited, {}, []) == lines
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))


@given(st.fractions())
def test_b02_rounding_is_half_away_from_zero_and_reversals_mirror(exact: Fraction) -> None:
    rounded = minor_from_exact(exact)
    assert minor_from_exact(-exact) == -rounded
    assert abs(rounded - exact) < Fraction(1, 2) or abs(rounded) - abs(exact) == Fraction(1, 2)


@pytest.mark.parametrize(
    ("lines", "skipped"),
    [
        ([], True),
        (lines_of(TERMS, [product(0)], [credit(0)], {}, []), True),
        (lines_of(TERMS, [product(1)], [], {}, []), False),
        (lines_of(TERMS, [product(100)], [credit(100)], {}, []), False),
        (lines_of(TERMS, [], [], {}, [Adjustment("a", 5, "r"), Adjustment("b", -5, "r")]), False),
        (lines_of(TERMS, [], [], {"api": 1001}, []), False),
    ],
)
def test_b01_a_period_without_amounts_is_skipped(lines: list[Line], skipped: bool) -> None:
    assert is_skipped(lines) is skipped


def test_b02_kinds_are_listed_in_the_order_of_lines() -> None:
    assert list(LineKind) == [LineKind.LEADS, LineKind.CREDIT, LineKind.OVERAGE, LineKind.ADJUSTMENT]
