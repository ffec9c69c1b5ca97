"""A bill as XLSX: the sheets Bill, Lines and Taxes, with amounts as numbers; the same bytes always."""

from collections.abc import Iterable
from datetime import datetime, time
from decimal import Decimal
from io import BytesIO

import xlsxwriter

from billing.bills.digest import digest_of, seal_of
from billing.bills.tax import blocks_of, totals_of
from billing.bills.values import Content, Issue, Line, Unit
from billing.periods import text_from_period
from db.reports.sheets import SMALLEST_PRICE, TEXTS_STAY_TEXTS, Cell, Sheet

_LINES = (
    "Line,Kind,Text,Product,Actions,Late,Duplicate savings,Cap savings,Corrects,Quantity,Unit price,Net,Tax,Rate,Reason"
)
_WIDTHS = {"Text": 44, "Product": 20, "Reason": 30, "Partner": 30, "Note": 40}


def xlsx_file(content: Content, issue: Issue) -> bytes:
    """The workbook of a bill or a credit note; the time of its making is the day of issue."""
    file = BytesIO()
    with xlsxwriter.Workbook(file, {**TEXTS_STAY_TEXTS, "in_memory": True}) as book:
        made_at = datetime.combine(issue.issued_on, time())  # the format has no time zones
        book.set_properties({"title": issue.number, "author": content.seller.name, "created": made_at})
        _write(Sheet(book, "Bill", ("Field", "Value"), {"Field": 24, "Value": 70}), _facts(content, issue))
        _write(Sheet(book, "Lines", _LINES.split(","), _WIDTHS), [_line(line, issue) for line in content.lines])
        taxes = [
            (b.tax.category.value, b.tax.rate, _money(b.base_minor), _money(b.tax_minor), content.tax_notes.get(b.tax))
            for b in blocks_of(content)
        ]
        _write(Sheet(book, "Taxes", ("Category", "Rate", "Base", "Tax", "Note"), _WIDTHS), taxes)
    return file.getvalue()


def _write(sheet: Sheet, rows: Iterable[Iterable[Cell]]) -> None:
    for cells in rows:
        sheet.add(cells)


def _facts(content: Content, issue: Issue) -> list[tuple[str, Cell]]:
    totals = totals_of(content)
    return [
        ("Document", "Bill" if content.noted is None else "Credit note"),
        ("Number", issue.number),
        ("Partner", content.partner),
        ("Billed to", content.buyer.name),
        ("From", content.seller.name),
        ("Period", text_from_period(content.period)),
        ("Issued on", issue.issued_on.isoformat()),
        ("Due on", issue.due_on.isoformat()),
        ("PO number", content.terms.po_number),
        ("Reason", None if content.noted is None else content.noted.reason),
        ("Currency", content.currency),
        ("Net", _money(totals.net_minor)),
        ("Tax", _money(totals.tax_minor)),
        ("Gross", _money(totals.gross_minor)),
        ("Total", _money(totals.total_minor)),
        ("Carried forward", _money(totals.carried_forward_minor)),
        ("Credit applied", _money(issue.applied_minor)),
        ("Due", _money(totals.total_minor - issue.applied_minor)),
        ("Digest", digest_of(content)),
        ("Seal", seal_of(content, issue)),
    ]


def _line(line: Line, issue: Issue) -> tuple[Cell, ...]:
    return (
        line.number,
        line.kind.value,
        line.text,
        line.product,
        line.actions,
        line.late,
        _money(line.duplicate_savings_minor),
        _money(line.cap_savings_minor),
        None if line.corrects is None else issue.corrected.get(line.corrects),
        line.quantity,
        line.unit_price.quantize(SMALLEST_PRICE) if line.unit is Unit.USAGE else line.unit_price,
        _money(line.net_minor),
        None if line.tax is None else line.tax.category.value,
        None if line.tax is None else line.tax.rate,
        line.reason,
    )


def _money(minor: int) -> Decimal:
    return Decimal(minor).scaleb(-2)
