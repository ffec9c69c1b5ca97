"""Rows of a CSV file that a person made: any of the usual separators, headings in any order and case."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from billing.errors import InvalidValue
from billing.texts import clean

_SEPARATORS = ",;\t"
_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class CsvRow:
    """What a row says in the columns that are known; an empty cell is not among them. `line` is its first line."""

    line: int
    cells: Mapping[str, str]


class InvalidRows(InvalidValue):
    """Rows that cannot be read: of each its line, 1 being the headings, and what is wrong with it."""

    def __init__(self, faults: Sequence[tuple[int, str]]) -> None:
        super().__init__(f"of line {faults[0][0]} {faults[0][1]}")
        self.faults = faults


def rows_from_csv(text: str, columns: Mapping[str, str], most: int) -> list[CsvRow]:
    """The rows of a file that are not empty, at most so many; raises InvalidRows.

    `columns` names each column by the headings it may have, written like `lead_id`. Other columns are passed over.
    """
    text = text.removeprefix(_BOM)
    separator = max(_SEPARATORS, key=text.partition("\n")[0].count)
    names: list[str | None] = []
    rows: list[CsvRow] = []
    faults: list[tuple[int, str]] = []
    for line, values in _numbered(text, separator):
        if not names:
            names = _names(values, columns)
        elif len(values) > len(names) and any(values[len(names) :]):
            faults.append((line, f"has {len(values)} fields where the heading has {len(names)}"))
        elif any(values):
            cells = {name: value.strip() for name, value in zip(names, values, strict=False) if name and value.strip()}
            rows.append(CsvRow(line, cells))
        if len(rows) + len(faults) > most:
            raise InvalidRows([(line, f"is more than the {most} rows that are taken at a time")])
    if faults:
        raise InvalidRows(faults)
    if not rows:
        raise InvalidRows([(1, "must be the headings, and rows must follow")])
    return rows


def _numbered(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each row with its first line; a quoted cell may go on in the next ones."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            values = next(reader, None)
        except csv.Error as error:
            raise InvalidRows([(line, f"is not valid CSV: {error}")]) from None
        if values is None:
            return
        yield line, values


def _names(headings: Sequence[str], columns: Mapping[str, str]) -> list[str | None]:
    """What each column is called, None where it is not known."""
    names = [columns.get(clean(heading).casefold().replace(" ", "_").replace("-", "_")) for heading in headings]
    known = [name for name in names if name]
    if twice := next((name for name in known if known.count(name) > 1), None):
        raise InvalidRows([(1, f"names the column {twice} twice")])
    return names
