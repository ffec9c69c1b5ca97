"""Leads from CSV, one action per row.

The rows are kept in a temporary database while they are put together, so that a lead's rows may stand anywhere.
"""

import csv
import io
import json
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from types import MappingProxyType
from typing import Any

from billing.lead_files.lead_entries import SHOWN_BYTES, BadLines, Entry, Line, Stream, Unreadable, encode
from billing.texts import text_key

CSV_COLUMNS = (
    "lead_id",
    "source",
    "customer_id",
    "customer_name",
    "customer_email",
    "product_id",
    "lead_type",
    "action_type",
    "engagement_level",
    "timestamp",
    "created_at",
)
_NEEDED = {"lead_id", "customer_id", "product_id", "lead_type", "action_type", "engagement_level", "timestamp"}
_LEAD_COLUMNS = ("lead_id", "source", "customer_id", "product_id", "lead_type", "created_at")
_OPEN_QUOTE = "unexpected end of data"
"""What the csv module says where a quoted value does not end."""

_MOST_LINES = 100
"""A row has no more, or a quote that never closes would have the rest of its file read for every line."""

_ACTION_COLUMNS = ("action_type", "engagement_level", "timestamp")


NONE_CHOSEN: Mapping[str, str | None] = MappingProxyType({})


def csv_leads(
    stream: Stream, chosen: Mapping[str, str | None] = NONE_CHOSEN, table_in: str = ""
) -> Iterator[Entry | BadLines]:
    """One action per row; rows with the same lead, wherever they stand, are one lead, in the order of their first rows.

    `chosen` says which column a heading, in small letters, stands for, None to pass over it. `table_in` is where SQLite
    keeps the rows. Rows that name one lead but another customer, product or lead type are a lead of their own: what
    that means is for the engine to say.
    """
    # With an empty name SQLite keeps the table in memory while it is small and in a temporary file when it is not.
    with closing(sqlite3.connect(table_in, isolation_level=None)) as table:
        # allowed: a temporary table of SQLite
        table.execute("CREATE TABLE rows (key TEXT, line INTEGER, text BLOB, lead TEXT, action TEXT)")
        table.execute("BEGIN")
        bad: list[BadLines] = []
        # allowed: a temporary table of SQLite
        table.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", _csv_rows(stream, chosen, bad.append))
        yield from bad
        rows = table.execute(
            # allowed: a temporary table of SQLite
            "SELECT key, line, text, lead, action FROM"
            " (SELECT *, min(line) OVER (PARTITION BY key) AS first FROM rows) ORDER BY first, line"
        )
        yield from _leads_of_rows(rows)


def heading(first_line: str) -> tuple[list[str], str]:
    """The names that a first line has, as they are written, and what stands between them; raises Unreadable."""
    delimiter = max(",;\t", key=first_line.count)
    try:
        names = next(csv.reader([first_line], delimiter=delimiter), [])
    except csv.Error as error:
        raise Unreadable(f"The first line is not valid CSV: {error}.") from None
    return [name.strip() for name in names], delimiter


def _csv_rows(
    stream: Stream, chosen: Mapping[str, str | None], bad: Callable[[BadLines], None]
) -> Iterator[tuple[str, int, bytes, str, str]]:
    lines = _Lines(io.TextIOWrapper(stream, "utf-8", "surrogateescape", newline=""))
    header, delimiter = _header(lines, chosen)
    while True:
        first = lines.number + 1
        row = _next_row(lines, len(header), delimiter)
        if row is None:
            return
        values, text, reason = row
        if reason:
            bad(BadLines((Line(first, encode(text)[:SHOWN_BYTES]),), reason))
        elif any(values):
            cells = {name: value for name, value in zip(header, values, strict=True) if name and value}
            yield _key(cells), first, encode(text), _lead_json(cells), _json(cells, _ACTION_COLUMNS)


def _next_row(lines: "_Lines", columns: int, delimiter: str) -> tuple[list[str], str, str] | None:
    """The next row as (values, text, what is wrong with it), None at the end.

    A quoted value may go on in the next lines, but never over a whole row: a quote that does not close before one was
    meant as a mark of inches, say, so only its own line is bad.
    """
    taken: list[str] = []
    if lines.peek() is None:
        return None
    try:
        values = next(csv.reader(_lines_of_row(lines, taken, columns, delimiter), delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        lines.push_back(taken[1:])
        text = taken[0].rstrip("\r\n")
        if str(error) == _OPEN_QUOTE:
            return [], text, "opens a quote that does not close before the next row"
        return _leniently(text, columns, delimiter)
    return values, "".join(taken).rstrip("\r\n"), _misfit(values, columns)


def _lines_of_row(lines: "_Lines", taken: list[str], columns: int, delimiter: str) -> Iterator[str]:
    """The lines that a row may have, as its reader asks for them; `taken` gets those that it asked for.

    So each is read once: a file in which every line opens a quote is not read again and again.
    """
    while (line := lines.peek()) is not None:
        if taken and (line.count(delimiter) >= columns - 1 or len(taken) >= _MOST_LINES):
            return
        taken.append(next(lines))
        yield line


def _leniently(text: str, columns: int, delimiter: str) -> tuple[list[str], str, str]:
    """A line whose quotes stand where none belongs, read as if they were letters."""
    try:
        values = next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error as error:
        return [], text, f"is not valid CSV: {error}"
    return values, text, _misfit(values, columns)


def _misfit(values: list[str], columns: int) -> str:
    return f"has {len(values)} fields where the heading has {columns}" if values and len(values) != columns else ""


def _header(lines: "_Lines", chosen: Mapping[str, str | None]) -> tuple[list[str | None], str]:
    first = next(lines, "")
    names, delimiter = heading(first)
    header = [chosen.get(name.casefold(), name.casefold()) for name in names]
    known = [name for name in header if name is not None]
    missing, unknown = _NEEDED - set(known), set(known) - set(CSV_COLUMNS)
    if first and missing:
        raise Unreadable(f"The first line lacks the columns {', '.join(sorted(missing))}.")
    if unknown or len(set(known)) < len(known):
        named = ", ".join(sorted(map(repr, unknown))) or "one twice"
        raise Unreadable(
            f"The first line names columns that are not known: {named}; known are {', '.join(CSV_COLUMNS)}."
        )
    return header, delimiter


class _Lines:
    """Lines of a text, which can be looked at before they are taken and given back after; `number` were taken."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._given_back: deque[str] = deque()
        self.number = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._given_back.popleft() if self._given_back else next(self._lines)
        self.number += 1
        return line

    def peek(self) -> str | None:
        """The next line, None at the end."""
        if not self._given_back:
            line = next(self._lines, None)
            if line is None:
                return None
            self._given_back.append(line)
        return self._given_back[0]

    def push_back(self, lines: Sequence[str]) -> None:
        """Give lines back that were taken last."""
        self._given_back.extendleft(reversed(lines))
        self.number -= len(lines)


def _key(cells: dict[str, str]) -> str:
    kind = text_key(cells.get("lead_type", ""))
    return json.dumps([cells.get(name, "") for name in ("source", "lead_id", "customer_id", "product_id")] + [kind])


def _lead_json(cells: dict[str, str]) -> str:
    lead: dict[str, Any] = {name: cells[name] for name in _LEAD_COLUMNS if name in cells}
    person = {name: cells[f"customer_{name}"] for name in ("name", "email") if f"customer_{name}" in cells}
    return json.dumps(lead | ({"customer": person} if person else {}))


def _json(cells: dict[str, str], names: Iterable[str]) -> str:
    return json.dumps({name: cells[name] for name in names if name in cells})


def _leads_of_rows(rows: Iterable[tuple[str, int, bytes, str, str]]) -> Iterator[Entry]:
    key = ""
    lines: list[Line] = []
    leads: list[str] = []
    actions: list[str] = []
    for row_key, number, text, lead, action in rows:
        if row_key != key and lines:
            yield _entry(lines, leads, actions)
            lines, leads, actions = [], [], []
        key = row_key
        lines.append(Line(number, text))
        leads.append(lead)
        actions.append(action)
    if lines:
        yield _entry(lines, leads, actions)


def _entry(lines: list[Line], leads: list[str], actions: list[str]) -> Entry:
    lead = leads[0]
    if any(other != lead for other in leads):  # what the first row leaves out may stand in another one
        together: dict[str, Any] = {}
        for each in leads:
            together = json.loads(each) | together
        lead = json.dumps(together)
    return Entry(f'{lead[:-1]}, "actions": [{", ".join(actions)}]}}'.encode(), tuple(lines))
