"""What the routes of what-ifs take and give."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from api.schemas.fields import Amount, Body, Id, Period, Window
from api.schemas.rate_cards import RateIn
from api.wire import amount_out
from billing.periods import periods_between, text_from_period
from billing.what_if import Supposed, SupposedRate
from db.ledger.what_if_results import ShownDifference

MOST_PARTNERS = 100
MOST_MONTHS = 36
MOST_RATES = 100


class WhatIfIn(Body):
    """Partners and months, and what is supposed of them; what is not named stays as it was."""

    partners: list[Id] = Field(min_length=1, max_length=MOST_PARTNERS)
    from_: Period = Field(alias="from")
    to: Period
    rates: Annotated[list[RateIn], Field(max_length=MOST_RATES)] = Field(
        default_factory=list, description="without effective_from from the first month on"
    )
    cap: Amount | None = Field(None, description="null: no cap; not sent: as it was")
    dedup_window: Window | None = None

    @model_validator(mode="after")
    def _months_are_few_and_in_order(self) -> Self:
        if self.to < self.from_:
            raise ValueError("to must not be before from")
        if len(list(periods_between(self.from_, self.to))) > MOST_MONTHS:
            raise ValueError(f"must be {MOST_MONTHS} months at most")
        return self

    def supposed(self, rates: list[SupposedRate]) -> Supposed:
        """What is supposed, with the rates as the rules know them."""
        return Supposed(self.from_, self.to, tuple(rates), "cap" in self.model_fields_set, self.cap, self.dedup_window)


def difference_out(found: ShownDifference) -> dict[str, Any]:
    """One difference."""
    return {
        "partner": found.partner,
        "currency": found.currency,
        "period": text_from_period(found.period),
        "customer": found.customer,
        "before": amount_out(found.before_minor),
        "after": amount_out(found.after_minor),
        "difference": amount_out(found.after_minor - found.before_minor),
    }
