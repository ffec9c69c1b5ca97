"""Tax and totals of a bill (B2): per category and rate on the sum of the lines, rounded once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from billing.bills.values import Content, Line, LineTax
from billing.money import minor_from_exact


class TaxBlock(NamedTuple):
    """The tax of all lines with one category and rate, in minor units.

    `noted_before_minor` is the base of earlier credit notes of the same bill; it is 0 for a bill.
    """

    tax: LineTax
    base_minor: int
    tax_minor: int
    noted_before_minor: int = 0


@dataclass(frozen=True, slots=True)
class BillTotals:
    """What a bill asks for, in minor units: never below 0; the rest is carried forward as credit on the account."""

    net_minor: int
    tax_minor: int

    @property
    def gross_minor(self) -> int:
        """Net and tax, below zero if more is credited than billed."""
        return self.net_minor + self.tax_minor

    @property
    def total_minor(self) -> int:
        """What is to be paid."""
        return max(0, self.gross_minor)

    @property
    def carried_forward_minor(self) -> int:
        """What goes to the account as credit."""
        return max(0, -self.gross_minor)


@lru_cache
def tax_on(base_minor: int, tax: LineTax) -> int:
    """The tax on a base, rounded half away from zero."""
    return minor_from_exact(base_minor * Fraction(tax.rate) / 100)


def tax_blocks(lines: Iterable[Line], noted_before: Mapping[LineTax, int] | None = None) -> list[TaxBlock]:
    """The tax table, by category and rate.

    The tax of a credit note is that of all noted so far less that of what was noted before (B8): so the notes of a
    bill take back exactly its tax, however the lines are divided among them.
    """
    bases: dict[LineTax, int] = {}
    for line in lines:
        if line.tax is not None:
            bases[line.tax] = bases.get(line.tax, 0) + line.net_minor
    before = noted_before or {}
    return [
        TaxBlock(
            tax, base, tax_on(before.get(tax, 0) + base, tax) - tax_on(before.get(tax, 0), tax), before.get(tax, 0)
        )
        for tax, base in sorted(bases.items())
    ]


def blocks_of(content: Content) -> list[TaxBlock]:
    """The tax table of a bill or a credit note."""
    return tax_blocks(content.lines, content.noted.net_minor if content.noted else None)


def totals_of(content: Content) -> BillTotals:
    """The totals of a bill or a credit note."""
    net = sum(line.net_minor for line in content.lines)
    return BillTotals(net, sum(block.tax_minor for block in blocks_of(content)))
