"""A bill as XLSX: the sheets Bill, Lines and Taxes, with amounts as numbers; the same bytes always."""

from collections.abc import Iterable
from datetime import datetime, time
from decimal import Decimal
from io import BytesIO

import xlsxwriter
from xlsxwriter.workbook import Workbook

from billing.bills.digest import digest_of, seal_of
from billing.bills.tax import blocks_of, totals_of
from billing.bills.values import Content, Issue, Line, Unit
from billing.periods import text_from_period

_MONEY = "#,##0.00;[Red]-#,##0.00"
_TEXTS_STAY_TEXTS = {"strings_to_formulas": False, "strings_to_urls": False, "in_memory": True}
_LINES = (
    "Line,Kind,Text,Product,Actions,Late,Duplicate savings,Cap savings,Corrects,Quantity,Unit price,Net,Tax,Rate,Reason"
)
_WIDTHS = {"Text": 44, "Product": 20, "Reason": 30, "Partner": 30, "Note": 40}

_SMALLEST_PRICE = Decimal("0.000001")
"""Prices of units of usage have this many decimals, which tells them from amounts."""

_Cell = str | int | Decimal | None


def xlsx_file(content: Content, issue: Issue) -> bytes:
    """The workbook of a bill or a credit note; the time of its making is the day of issue."""
    file = BytesIO()
    with xlsxwriter.Workbook(file, _TEXTS_STAY_TEXTS) as book:
        made_at = datetime.combine(issue.issued_on, time())  # the format has no time zones
        book.set_properties({"title": issue.number, "author": content.seller.name, "created": made_at})
        _write(book, "Bill", ("Field", "Value"), _facts(content, issue), widths=(24, 70))
        _write(book, "Lines", _LINES.split(","), [_line(line, issue) for line in content.lines])
        taxes = [
            (b.tax.category.value, b.tax.rate, _money(b.base_minor), _money(b.tax_minor), content.tax_notes.get(b.tax))
            for b in blocks_of(content)
        ]
        _write(book, "Taxes", ("Category", "Rate", "Base", "Tax", "Note"), taxes)
    return file.getvalue()


def _facts(content: Content, issue: Issue) -> list[tuple[str, _Cell]]:
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


def _line(line: Line, issue: Issue) -> tuple[_Cell, ...]:
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
        line.unit_price.quantize(_SMALLEST_PRICE) if line.unit is Unit.USAGE else line.unit_price,
        _money(line.net_minor),
        None if line.tax is None else line.tax.category.value,
        None if line.tax is None else line.tax.rate,
        line.reason,
    )


def _write(
    book: Workbook,
    name: str,
    head: Iterable[str],
    rows: Iterable[Iterable[_Cell]],
    widths: tuple[int, ...] = (),
) -> None:
    sheet = book.add_worksheet(name)
    bold, money = book.add_format({"bold": True, "bottom": 1}), book.add_format({"num_format": _MONEY})
    price = book.add_format({"num_format": "#,##0.000000"})
    for column, title in enumerate(head):
        sheet.write_string(0, column, title, bold)
        sheet.set_column(column, column, widths[column] if widths else _WIDTHS.get(title, 14))
    for row, cells in enumerate(rows, start=1):
        for column, cell in enumerate(cells):
            if isinstance(cell, Decimal):
                is_price = cell.same_quantum(_SMALLEST_PRICE)
                sheet.write_number(row, column, float(cell), price if is_price else money)
            elif isinstance(cell, int):
                sheet.write_number(row, column, cell)
            elif cell is not None:
                sheet.write_string(row, column, cell)
    sheet.freeze_panes(1, 0)


def _money(minor: int) -> Decimal:
    return Decimal(minor).scaleb(-2)
