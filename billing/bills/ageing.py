"""Ageing (B9): what is open, by how long it has been due; its columns add up to what is open."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from billing.bills.account import Charge


@dataclass(slots=True)
class Ageing:
    """What a partner owes at the end of a day, in minor units. A charge is due through its due date.

    `disputed_minor` is the part of `open_minor` that is disputed; what is left of credits stands beside.
    """

    not_due_minor: int = 0
    days_1_30_minor: int = 0
    days_31_60_minor: int = 0
    days_61_90_minor: int = 0
    over_90_minor: int = 0
    disputed_minor: int = 0
    left_minor: int = 0

    @property
    def open_minor(self) -> int:
        """All that is open."""
        due = self.days_1_30_minor + self.days_31_60_minor + self.days_61_90_minor + self.over_90_minor
        return self.not_due_minor + due


def ageing(charges: Iterable[Charge], left_minor: int, as_of: date) -> Ageing:
    """The ageing of what was open on a day."""
    result = Ageing(left_minor=left_minor)
    for charge in charges:
        days = (as_of - charge.due_on).days
        if days <= 0:
            result.not_due_minor += charge.open_minor
        elif days <= 30:
            result.days_1_30_minor += charge.open_minor
        elif days <= 60:
            result.days_31_60_minor += charge.open_minor
        elif days <= 90:
            result.days_61_90_minor += charge.open_minor
        else:
            result.over_90_minor += charge.open_minor
        result.disputed_minor += charge.open_minor if charge.is_disputed else 0
    return result
