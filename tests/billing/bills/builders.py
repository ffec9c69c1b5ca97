"""Bills for the tests of their rules: what they keep, and any of them for properties."""

from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from billing.bills.lines import Adjustment, CreditFigures, ProductFigures, lines_of
from billing.bills.values import Content, Issue, Line, LineTax, Party, TermsOfBill
from billing.contracts.tax import TaxCategory

S20 = LineTax(TaxCategory.STANDARD, Decimal(20))
S7 = LineTax(TaxCategory.STANDARD, Decimal("7.00"))
REVERSE = LineTax(TaxCategory.REVERSE_CHARGE, Decimal(0))

SELLER = Party("Leadger GmbH", "Hauptstr. 1\n10115 Berlin", "DE123456789", "DE02120300000000202051")
BUYER = Party("Acme Ltd", "1 High Street\nLondon", "GB123456789")


def product(billed_minor: int, name: str = "crm", **more: int) -> ProductFigures:
    figures = {"actions": 1, "late": 0, "duplicate_savings_minor": 0, "cap_savings_minor": 0, **more}
    return ProductFigures(name, name.upper(), billed_minor, **figures)


def credit(credited_minor: int, name: str = "crm", period: int = 202403, tax: LineTax | None = S20) -> CreditFigures:
    return CreditFigures(name, name.upper(), period, tax, credited_minor, 1)


def content(*lines: Line, **more: Any) -> Content:
    """A bill of April 2024 with these lines."""
    kept: dict[str, Any] = {
        "partner": "acme",
        "period": 202404,
        "currency": "EUR",
        "seller": SELLER,
        "buyer": BUYER,
        "terms": TermsOfBill(tax=S20),
        "usage": {},
        "report_version": 3,
        "report_digest": "ab" * 32,
    }
    return Content(lines=lines, **kept | more)


ISSUE = Issue("ACME-0007", date(2024, 5, 2), date(2024, 6, 1), {202403: "ACME-0006"}, 100)

amounts = st.integers(0, 10**9)
names = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=8)
taxes = st.none() | st.sampled_from([S20, S7, REVERSE])
any_terms = st.builds(
    TermsOfBill,
    monthly_limit=st.none() | st.integers(0, 10**6),
    overage_unit_cost=st.none() | st.decimals(0, 100, places=6),
    usage_sources=st.lists(names, max_size=2).map(tuple),
    tax=taxes,
    tax_note=st.none() | names,
    po_number=st.none() | names,
)
any_usage = st.dictionaries(names | st.just("leadger"), st.integers(0, 10**9), max_size=3)
products = st.lists(
    st.builds(ProductFigures, names, names, amounts, amounts, amounts, amounts, amounts),
    max_size=4,
    unique_by=lambda figures: figures.product,
)
any_credits = st.lists(
    st.builds(CreditFigures, names, names, st.sampled_from([202401, 202403]), taxes, amounts, amounts),
    max_size=3,
    unique_by=lambda figures: (figures.product, figures.period),
)
adjustments = st.lists(
    st.builds(Adjustment, names, st.integers(-(10**9), 10**9), names, taxes, st.booleans()), max_size=3
)


@st.composite
def contents(draw: st.DrawFn) -> Content:
    """Any bill."""
    terms, usage = draw(any_terms), draw(any_usage)
    lines = lines_of(terms, draw(products), draw(any_credits), usage, draw(adjustments))
    notes = {line.tax: draw(names) for line in lines if line.tax is not None}
    return content(*lines, terms=terms, usage=usage, tax_notes=notes, partner=draw(names))
