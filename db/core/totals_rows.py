"""Reading rows: what a function asks of one when it only reads columns, and totals among its columns."""

from typing import Any, Protocol

from billing.actions import Outcome
from billing.totals import TOTALS_COLUMNS, Totals

COUNTED_TOTALS = ", ".join(
    [
        "count(DISTINCT lead_id) AS leads",
        "count(*) AS actions",
        *(f"count(*) FILTER (WHERE outcome = '{outcome}') AS {outcome}" for outcome in Outcome),
        "sum(value_minor)::bigint AS gross_minor",
        "sum(billed_minor)::bigint AS billed_minor",
        "coalesce(sum(value_minor) FILTER (WHERE outcome = 'duplicate'), 0)::bigint AS duplicate_savings_minor",
        "coalesce(sum(value_minor - billed_minor) FILTER (WHERE outcome IN ('partly_billed', 'capped')), 0)::bigint"
        " AS cap_savings_minor",
        "coalesce(sum(value_minor) FILTER (WHERE outcome = 'held'), 0)::bigint AS held_minor",
        "coalesce(sum(value_minor) FILTER (WHERE outcome = 'returned'), 0)::bigint AS returned_minor",
    ]
)
"""The totals of a group of rows of `actions`, as columns."""


class Row(Protocol):
    """Columns by name: a record of the driver or a dict."""

    def __getitem__(self, column: str, /) -> Any:
        """The value of a column."""


def totals_from_row(row: Row) -> Totals:
    """The totals among a row's columns, which have the names of the fields."""
    return Totals(*(row[name] for name in TOTALS_COLUMNS))
