"""Replay (B11): a bill made again from verdicts that were judged again, and from what only the bill itself can say."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from billing.actions import Verdict
from billing.bills.lines import Adjustment, CreditFigures, ProductFigures, lines_of
from billing.bills.values import Content, Line, LineKind, TermsOfBill
from billing.contracts.usage import LEADGER
from billing.totals import Totals


@dataclass(slots=True)
class Figures:
    """What the verdicts of a period add up to: totals and late actions by product, and leads."""

    totals: dict[UUID, Totals] = field(default_factory=lambda: defaultdict(Totals))
    late: dict[UUID, int] = field(default_factory=lambda: defaultdict(int))
    leads: int = 0

    def add(self, verdicts: Sequence[Verdict]) -> None:
        """Count the verdicts of some customers, all that they have in the period: so no lead is counted twice."""
        for verdict in verdicts:
            action = verdict.action
            self.totals[action.product_id].add(verdict.outcome, action.value_minor, verdict.billed_minor)
            self.late[action.product_id] += action.own_period < action.billing_period
        self.leads += len({verdict.action.lead_id for verdict in verdicts})

    def of_products(self, external_ids: Mapping[UUID, str]) -> list[ProductFigures]:
        """The figures of each product; none of them has a name here."""
        return [
            ProductFigures(
                product=external_ids[product_id],
                name="",
                billed_minor=totals.billed_minor,
                actions=totals.actions,
                late=self.late[product_id],
                duplicate_savings_minor=totals.duplicate_savings_minor,
                cap_savings_minor=totals.cap_savings_minor,
            )
            for product_id, totals in self.totals.items()
        ]


def bill_again(
    bill: Content,
    terms: TermsOfBill,
    products: Iterable[ProductFigures],
    credited: Iterable[CreditFigures],
    usage: Mapping[str, int],
    leads: int,
) -> Content:
    """The content by these figures; blocks, adjustments and the names of products are those of the bill."""
    units = {**usage, LEADGER: leads}
    adjustments = [_adjustment(line) for line in bill.lines if line.kind is LineKind.ADJUSTMENT]
    made = lines_of(terms, products, credited, units, adjustments)
    texts = {_place(line): line.text for line in bill.lines if line.product is not None}
    return replace(
        bill,
        lines=[replace(line, text=texts.get(_place(line), line.text)) for line in made],
        terms=terms,
        usage=units,
        tax_notes={terms.tax: terms.tax_note} if terms.tax and terms.tax_note else {},
    )


def _adjustment(line: Line) -> Adjustment:
    return Adjustment(line.text, line.net_minor, line.reason or "", line.tax, own_tax=True)


def _place(line: Line) -> tuple[LineKind, str | None, int | None]:
    return line.kind, line.product, line.corrects
