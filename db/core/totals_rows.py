"""Reading rows: what a function asks of one when it only reads columns, and totals among its columns."""

from typing import Any, Protocol

from billing.totals import TOTALS_COLUMNS, Totals


class Row(Protocol):
    """Columns by name: a record of the driver or a dict."""

    def __getitem__(self, column: str, /) -> Any:
        """The value of a column."""


def totals_from_row(row: Row) -> Totals:
    """The totals among a row's columns, which have the names of the fields."""
    return Totals(*(row[name] for name in TOTALS_COLUMNS))
