"""A report as CSV: one row per action and one per credit; `row` tells which is which.

The rows of each column of money add up to its total, and those of `net` to what is due (R14). So totals are no rows of
the file; who asks for them gets a row per product, one for everything, and the explanation below the others.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from billing.actions import Outcome
from billing.explain import STATUS
from billing.money import amount_from_minor
from billing.periods import name_of_period
from billing.totals import Totals
from db.reports.explained_actions import Line
from db.reports.live_report import Report
from db.reports.report_lines import BookedCredit
from db.reports.totals_in_words import explanation

COLUMNS = (
    "row",
    "customer_email",
    "customer",
    "customer_name",
    "product",
    "product_id",
    "lead_type",
    "action_type",
    "engagement_level",
    "occurred_at",
    "amount",
    "duplicate",
    "status",
    "billed",
    "credited",
    "net",
    "duplicate_savings",
    "cap_savings",
    "currency",
    "lead",
    "action_id",
    "duplicate_of",
    "reason",
)
_AMOUNT = re.compile(r"-?[0-9]+\.[0-9]{2}")
_SIGNS = r"[=+\-@\uff1d\uff0b\uff0d\uff20]"
# Where the list separator is a semicolon, a spreadsheet splits a cell of ours there; it takes full-width signs for the
# signs of a formula, and may drop white space and quotes before them. No text has a tab or a line end (R1).
_FORMULA = re.compile(rf'(^|;)(?=[\s"]*{_SIGNS})')
_QUOTE_OF_OURS = re.compile(rf"""(^|;)'(?=[\s"']*{_SIGNS})""")
_FORMULA_IN_A_ROW = re.compile(rf'(?:^|[,;])[\s"]*{_SIGNS}')
_ZERO = amount_from_minor(0)
_Cells = tuple[str, ...]


class Number(str):
    """A cell that we have computed; however it begins, it is no formula."""

    __slots__ = ()


def head(_: Report) -> str:
    """The names of the columns."""
    return csv_row(COLUMNS)


def line(line: Line) -> str:
    """One action."""
    return csv_row(_cells(line))


def credits_head() -> str:
    """Nothing: credits are rows like others."""
    return ""


def credit(credit: BookedCredit, currency: str) -> str:
    """One credit."""
    return csv_row(_credit_cells(credit, currency))


def foot(_: Report) -> str:
    """Nothing."""
    return ""


def totals(report: Report) -> str:
    """A row for each product, one for everything, and the explanation."""
    rows = [
        *(
            _totals_cells("product total", (p.name, p.product), p.totals, p.credited_minor or 0, report.currency, "")
            for p in report.products
        ),
        _totals_cells("total", ("", ""), report.totals, report.credited_minor, report.currency, explanation(report)),
    ]
    return "".join(map(csv_row, rows))


def csv_row(cells: Iterable[str]) -> str:
    """One line of a CSV file, with nothing in it that a spreadsheet takes for a formula."""
    safe = list(cells)
    row = ",".join(safe)
    if _FORMULA_IN_A_ROW.search(row):
        safe = [_defused(cell) for cell in safe]
        row = ",".join(safe)
    # The writer looks at each character by itself, and few rows have anything for it to quote.
    quoted = row.count(",") >= len(safe) or '"' in row
    return _quoted(safe) if quoted or not row else row + "\n"


def cell_as_given(cell: str) -> str:
    """A cell without the quotes that keep spreadsheets from taking it for a formula."""
    return _QUOTE_OF_OURS.sub(r"\1", cell)


def _quoted(cells: Sequence[str]) -> str:
    row = io.StringIO()
    csv.writer(row, lineterminator="\n").writerow(cells)
    return row.getvalue()


def _defused(cell: str) -> str:
    return cell if isinstance(cell, Number) or _AMOUNT.fullmatch(cell) else _FORMULA.sub(r"\1'", cell)


def _cells(line: Line) -> _Cells:
    explained = line.explained
    verdict = explained.verdict
    action, outcome = verdict.action, verdict.outcome
    amount, billed = amount_from_minor(action.value_minor), amount_from_minor(verdict.billed_minor)
    duplicate = outcome is Outcome.DUPLICATE
    capped = outcome is Outcome.CAPPED or outcome is Outcome.PARTLY_BILLED
    return (
        "action",
        line.customer.email,
        line.customer.external_id,
        line.customer.name,
        line.product.name,
        line.product.external_id,
        line.lead_type,
        action.action_type,
        action.engagement_level,
        _instant(action.occurred_at),
        amount,
        "Yes" if duplicate else "No",
        STATUS[outcome],
        billed,
        _ZERO,
        billed,
        amount if duplicate else _ZERO,
        amount_from_minor(action.value_minor - verdict.billed_minor) if capped else _ZERO,
        line.currency,
        line.lead,
        str(action.id),
        str(explained.winner.action_id) if explained.winner else "",
        line.reason,
    )


def _credit_cells(credit: BookedCredit, currency: str) -> _Cells:
    """A credit as a row of its own: nothing was billed, and what is credited is taken off what is due."""
    month = name_of_period(credit.billing_period)
    return (
        "credit",
        credit.email,
        credit.customer,
        credit.customer_name,
        credit.product_name,
        credit.product,
        credit.lead_type,
        credit.action_type,
        credit.engagement_level,
        _instant(credit.occurred_at),
        _ZERO,
        "No",
        "Credited",
        _ZERO,
        amount_from_minor(credit.amount_minor),
        amount_from_minor(-credit.amount_minor),
        _ZERO,
        _ZERO,
        currency,
        credit.lead,
        str(credit.action_id),
        "",
        f"Credited, because it was returned ({credit.reason}); it was billed in {month}.",
    )


def _totals_cells(
    kind: str, product: tuple[str, str], totals: Totals, credited_minor: int, currency: str, reason: str
) -> _Cells:
    return (
        kind,
        "",
        "",
        "",
        *product,
        "",
        "",
        "",
        "",
        amount_from_minor(totals.gross_minor),
        "",
        "",
        amount_from_minor(totals.billed_minor),
        amount_from_minor(credited_minor),
        amount_from_minor(totals.billed_minor - credited_minor),
        amount_from_minor(totals.duplicate_savings_minor),
        amount_from_minor(totals.cap_savings_minor),
        currency,
        "",
        "",
        "",
        reason,
    )


def _instant(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
