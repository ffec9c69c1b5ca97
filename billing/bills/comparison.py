"""What differs between two bills of a partner, by cause: the signed amounts add up to the difference of both."""

from collections.abc import Iterable
from typing import NamedTuple

from billing.bills.tax import totals_of
from billing.bills.values import Content, Line, LineKind

TAX = "tax"


class Cause(NamedTuple):
    """Something that both bills ask money for, or one of them; amounts are net, but for the cause `tax`.

    `product` and `corrects` are those of its lines.
    """

    kind: str
    text: str
    before_minor: int
    now_minor: int
    product: str | None = None
    corrects: int | None = None

    @property
    def difference_minor(self) -> int:
        """What it adds to the bill."""
        return self.now_minor - self.before_minor


def causes(before: Content | None, now: Content) -> list[Cause]:
    """Where the gross amount of a bill differs from that of another one, the largest difference first.

    Lines of leads are compared by product, credits by product and corrected month, adjustments each, overage with
    overage. None stands for no bill: everything is new then.
    """
    old, new = _amounts(before.lines if before else ()), _amounts(now.lines)
    found = []
    for key in {**new, **old}:
        line = (new.get(key) or old[key])[0]
        before_minor, now_minor = (amounts[key][1] if key in amounts else 0 for amounts in (old, new))
        found.append(Cause(line.kind.value, line.text, before_minor, now_minor, line.product, line.corrects))
    found.append(Cause(TAX, "Tax", totals_of(before).tax_minor if before else 0, totals_of(now).tax_minor))
    return sorted((each for each in found if each.difference_minor), key=lambda each: -abs(each.difference_minor))


def _amounts(lines: Iterable[Line]) -> dict[tuple[str, ...], tuple[Line, int]]:
    """What the lines ask for with the last of them, by what makes two lines the same; equal ones are summed."""
    amounts: dict[tuple[str, ...], tuple[Line, int]] = {}
    for line in lines:
        named = "" if line.kind is LineKind.OVERAGE else line.product or line.text
        key = (line.kind.value, named, str(line.corrects or ""))
        amounts[key] = (line, (amounts[key][1] if key in amounts else 0) + line.net_minor)
    return amounts
