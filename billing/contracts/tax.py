"""Tax of a partner's bills: a category of EN 16931 with its rate."""

from dataclasses import dataclass
from enum import StrEnum

from billing.errors import InvalidValue
from billing.money import amount_from_minor, amount_up_to


class TaxCategory(StrEnum):
    """Categories as electronic invoices name them (EN 16931)."""

    STANDARD = "S"
    ZERO = "Z"
    EXEMPT = "E"
    REVERSE_CHARGE = "AE"
    OUTSIDE = "O"


@dataclass(frozen=True, slots=True)
class Tax:
    """The tax on all lines of a bill; `rate_bp` is in hundredths of a percent, 2000 for 20 %.

    InvalidValue for a standard rate of 0, and for a rate in any other category.
    """

    category: TaxCategory
    rate_bp: int
    note: str | None = None

    def __post_init__(self) -> None:
        if self.category is TaxCategory.STANDARD and not self.rate_bp:
            raise InvalidValue("has the category S, which needs a rate above 0.00; Z is the zero rate")
        if self.category is not TaxCategory.STANDARD and self.rate_bp:
            raise InvalidValue(f"has the category {self.category}, in which the rate is 0.00")


def rate_bp_from_wire(rate: object) -> int:
    """Read a percentage from "0" to "100.00" as hundredths of a percent; raises InvalidValue."""
    return amount_up_to(100_00, rate)


def wire_from_rate_bp(rate_bp: int) -> str:
    """Write 2000 as "20.00"."""
    return amount_from_minor(rate_bp)
