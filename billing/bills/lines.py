"""The lines of a bill (B2), from the final report, the credits, the usage and the adjustments of a period."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from billing.bills.values import Line, LineKind, LineTax, TermsOfBill, Unit
from billing.contracts.usage import units_charged
from billing.money import amount_from_minor
from billing.periods import name_of_period


@dataclass(frozen=True, slots=True)
class ProductFigures:
    """One product of the final report; amounts in minor units."""

    product: str
    name: str
    billed_minor: int
    actions: int
    late: int
    duplicate_savings_minor: int
    cap_savings_minor: int


@dataclass(frozen=True, slots=True)
class CreditFigures:
    """What was credited in the period for returned actions of one product on one earlier bill (R11).

    `period` and `tax` are those of the bill that is corrected.
    """

    product: str
    name: str
    period: int
    tax: LineTax | None
    credited_minor: int
    actions: int


@dataclass(frozen=True, slots=True)
class Adjustment:
    """An amount that Finance adds or takes off; `own_tax` says whether `tax` counts, or the tax of the terms."""

    text: str
    amount_minor: int
    reason: str
    tax: LineTax | None = None
    own_tax: bool = False


def lines_of(
    terms: TermsOfBill,
    products: Iterable[ProductFigures],
    credited: Iterable[CreditFigures],
    usage: Mapping[str, int],
    adjustments: Sequence[Adjustment],
) -> list[Line]:
    """All lines in their order: products by id, credits by period and product, overage, adjustments as entered."""
    lines = [
        *(_leads(terms, figures) for figures in sorted(products, key=lambda figures: figures.product)),
        *(_credit(figures) for figures in sorted(credited, key=lambda figures: (figures.period, figures.product))),
        *_overage(terms, usage),
        *(_adjustment(terms, adjustment) for adjustment in adjustments),
    ]
    return [replace(line, number=number) for number, line in enumerate(lines, start=1)]


def _leads(terms: TermsOfBill, figures: ProductFigures) -> Line:
    return Line(
        0,
        LineKind.LEADS,
        figures.name,
        _price(figures.billed_minor),
        tax=terms.tax,
        product=figures.product,
        actions=figures.actions,
        late=figures.late,
        duplicate_savings_minor=figures.duplicate_savings_minor,
        cap_savings_minor=figures.cap_savings_minor,
    )


def _credit(figures: CreditFigures) -> Line:
    return Line(
        0,
        LineKind.CREDIT,
        f"{figures.name}, returned from {name_of_period(figures.period)}",
        _price(figures.credited_minor),
        quantity=-1,
        tax=figures.tax,
        product=figures.product,
        actions=figures.actions,
        corrects=figures.period,
    )


def _overage(terms: TermsOfBill, usage: Mapping[str, int]) -> Iterator[Line]:
    if terms.monthly_limit is None or terms.overage_unit_cost is None:
        return
    units = units_charged(usage, terms.usage_sources)
    if units > terms.monthly_limit:
        yield Line(
            0,
            LineKind.OVERAGE,
            f"Usage of {units:,} units, above the monthly limit of {terms.monthly_limit:,}",
            terms.overage_unit_cost,
            quantity=units - terms.monthly_limit,
            unit=Unit.USAGE,
            tax=terms.tax,
        )


def _adjustment(terms: TermsOfBill, adjustment: Adjustment) -> Line:
    return Line(
        0,
        LineKind.ADJUSTMENT,
        adjustment.text,
        _price(abs(adjustment.amount_minor)),
        quantity=-1 if adjustment.amount_minor < 0 else 1,
        tax=adjustment.tax if adjustment.own_tax else terms.tax,
        reason=adjustment.reason,
    )


def _price(minor: int) -> Decimal:
    return Decimal(amount_from_minor(minor))
