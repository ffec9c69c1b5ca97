"""A bill as CSV: a row per line and none for totals, so that the rows of each column add up (R14)."""

from collections.abc import Iterable, Iterator

from billing.bills.values import Content, Issue
from billing.bills.wire import json_from_line
from billing.periods import text_from_period
from db.reports.csv_format import Number, csv_row

COLUMNS = ("document", "partner", "period", "currency", "issued_on", "due_on")
LINE_COLUMNS = (
    "line",
    "kind",
    "text",
    "product",
    "actions",
    "late",
    "duplicate_savings",
    "cap_savings",
    "corrects",
    "quantity",
    "unit",
    "unit_price",
    "net",
    "tax_category",
    "tax_rate",
    "reason",
)


def csv_file(content: Content, issue: Issue) -> bytes:
    """The lines of a bill or a credit note, with its number and dates in each row; nothing a spreadsheet executes."""
    rows: Iterable[Iterable[str]] = [(*COLUMNS, *LINE_COLUMNS), *_rows(content, issue)]
    return "".join(csv_row(row) for row in rows).encode()


def _rows(content: Content, issue: Issue) -> Iterator[tuple[str, ...]]:
    period = text_from_period(content.period)
    dates = issue.issued_on.isoformat(), issue.due_on.isoformat()
    for line in content.lines:
        values = json_from_line(line)
        corrected = "" if line.corrects is None else issue.corrected.get(line.corrects, "")
        cells = ["" if values[name] is None else str(values[name]) for name in LINE_COLUMNS]
        cells[LINE_COLUMNS.index("corrects")] = corrected
        cells[LINE_COLUMNS.index("quantity")] = Number(line.quantity)
        yield (issue.number, content.partner, period, content.currency, *dates, *cells)
