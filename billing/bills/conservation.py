"""Conservation (B10): what bills ask for is what the ledger of leads says, to the cent."""

from collections.abc import Iterable
from typing import NamedTuple

from billing.bills.values import Line, LineKind
from billing.money import amount_from_minor


class Ledger(NamedTuple):
    """What a closed period says, in minor units: billed by its final report, and credits booked in it."""

    billed_minor: int
    credited_minor: int


class Sums(NamedTuple):
    """The sums of one partner over all periods, in minor units; `net_minor` is that of live bills less their notes."""

    net_minor: int
    billed_minor: int
    returned_minor: int
    overage_minor: int
    adjusted_minor: int
    noted_minor: int

    @property
    def difference_minor(self) -> int:
        """What the bills ask for beyond what was billed, used and agreed; 0 once all is billed."""
        agreed = self.overage_minor + self.adjusted_minor - self.noted_minor
        return self.net_minor - (self.billed_minor - self.returned_minor + agreed)


def net_by_kind(lines: Iterable[Line]) -> dict[LineKind, int]:
    """The net of the lines by their kind, in minor units."""
    by_kind = dict.fromkeys(LineKind, 0)
    for line in lines:
        by_kind[line.kind] += line.net_minor
    return by_kind


def difference_to_ledger(lines: Iterable[Line], ledger: Ledger) -> str | None:
    """How a bill differs from the ledger of its period, in one sentence; None if it does not."""
    by_kind = net_by_kind(lines)
    if by_kind[LineKind.LEADS] != ledger.billed_minor:
        return _sentence("leads", by_kind[LineKind.LEADS], "the final report billed", ledger.billed_minor)
    if by_kind[LineKind.CREDIT] != -ledger.credited_minor:
        return _sentence("credits", -by_kind[LineKind.CREDIT], "the period credited", ledger.credited_minor)
    return None


def _sentence(what: str, on_bill_minor: int, who: str, in_ledger_minor: int) -> str:
    return f"The bill has {what} of {amount_from_minor(on_bill_minor)}, and {who} {amount_from_minor(in_ledger_minor)}."
