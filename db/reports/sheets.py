"""Sheets of XLSX that grow row by row: amounts are numbers, texts stay texts."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from xlsxwriter.workbook import Workbook

TEXTS_STAY_TEXTS = {"strings_to_formulas": False, "strings_to_urls": False}
SMALLEST_PRICE = Decimal("0.000001")
"""Prices of units of usage have this many decimals, which tells them from amounts."""

Cell = str | int | Decimal | None
_MONEY = "#,##0.00;[Red]-#,##0.00"
_WIDTH = 14


class Sheet:
    """A sheet of a workbook with its head; `widths` are in letters, by title."""

    def __init__(self, book: Workbook, name: str, head: Sequence[str], widths: Mapping[str, int]) -> None:
        self._sheet, self._rows = book.add_worksheet(name), 0
        bold = book.add_format({"bold": True, "bottom": 1})
        self._money = book.add_format({"num_format": _MONEY})
        self._price = book.add_format({"num_format": "#,##0.000000"})
        for column, title in enumerate(head):
            self._sheet.set_column(column, column, widths.get(title, _WIDTH))
            self._sheet.write_string(0, column, title, bold)
        self._sheet.freeze_panes(1, 0)

    def add(self, cells: Iterable[Cell]) -> None:
        """Add a row."""
        self._rows += 1
        for column, cell in enumerate(cells):
            if isinstance(cell, Decimal):
                is_price = cell.same_quantum(SMALLEST_PRICE)
                self._sheet.write_number(self._rows, column, float(cell), self._price if is_price else self._money)
            elif isinstance(cell, int):
                self._sheet.write_number(self._rows, column, cell)
            elif cell is not None:
                self._sheet.write_string(self._rows, column, cell)
