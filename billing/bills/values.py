"""The values of a bill: its lines, and everything else that it keeps as its own copy (B2, B3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from billing.contracts.tax import TaxCategory
from billing.money import minor_from_ratio


@dataclass(frozen=True, slots=True, order=True)
class LineTax:
    """How a line is taxed; the rate is in percent, with at most two decimals."""

    category: TaxCategory
    rate: Decimal


class LineKind(StrEnum):
    """What a line asks money for, in the order of the lines of a bill."""

    LEADS = "leads"
    CREDIT = "credit"
    OVERAGE = "overage"
    ADJUSTMENT = "adjustment"


class Unit(StrEnum):
    """What the quantity of a line counts: a flat amount, or units of usage."""

    FLAT = "flat"
    USAGE = "usage"


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `unit_price` is in whole units of the currency, with two decimals, or six if the unit is of usage.

    `number` counts from 1; a line of a credit note has that of the line which it corrects. `corrects` is the period of
    the bill that a credit corrects. Savings stand beside what was billed and are no part of the amount.
    """

    number: int
    kind: LineKind
    text: str
    unit_price: Decimal
    quantity: int = 1
    unit: Unit = Unit.FLAT
    tax: LineTax | None = None
    product: str | None = None
    actions: int = 0
    late: int = 0
    duplicate_savings_minor: int = 0
    cap_savings_minor: int = 0
    corrects: int | None = None
    reason: str | None = None

    @property
    def net_minor(self) -> int:
        """The amount of the line before tax, rounded once."""
        numerator, denominator = self.unit_price.as_integer_ratio()
        return minor_from_ratio(100 * self.quantity * numerator, denominator)


@dataclass(frozen=True, slots=True)
class Party:
    """Who bills, or who is billed, as printed on the bill."""

    name: str
    address: str | None = None
    tax_id: str | None = None
    iban: str | None = None


@dataclass(frozen=True, slots=True)
class TermsOfBill:
    """The agreed terms that make a bill and decide no verdict; `usage_sources` () is every source but Leadger."""

    monthly_limit: int | None = None
    overage_unit_cost: Decimal | None = None
    usage_sources: tuple[str, ...] = ()
    tax: LineTax | None = None
    tax_note: str | None = None
    payment_days: int = 30
    po_number: str | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """What a credit note corrects: the bill of `period`, of which `net_minor` was noted before, by tax."""

    reason: str
    cancels: bool = False
    net_minor: Mapping[LineTax, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Content:
    """All that the digest of a bill or a credit note proves (B4): no row keys, no state, no number, no clock.

    `partner` is the partner's own id; `usage` has the units of the period by source; `report` is the version and the
    digest of the final report; `tax_notes` say why a tax is what it is. `noted` is None for a bill.
    """

    partner: str
    period: int
    currency: str
    lines: Sequence[Line]
    seller: Party
    buyer: Party
    terms: TermsOfBill
    usage: Mapping[str, int]
    report_version: int
    report_digest: str
    tax_notes: Mapping[LineTax, str] = field(default_factory=dict)
    noted: Noted | None = None


@dataclass(frozen=True, slots=True)
class Issue:
    """What a bill gets when it is issued (B7); with its content, all that its files show.

    `corrected` are the numbers of the bills that it corrects, by their period; `applied_minor` is the credit that it
    used at once. Language and paper are part of it, so that the files stay the same when the partner prefers others.
    """

    number: str
    issued_on: date
    due_on: date
    corrected: Mapping[int, str] = field(default_factory=dict)
    applied_minor: int = 0
    language: str = "en"
    paper: str = "A4"


def is_skipped(lines: Sequence[Line]) -> bool:
    """Whether a closed period needs no bill, because every line is 0.00 (B1)."""
    return all(line.net_minor == 0 for line in lines)
