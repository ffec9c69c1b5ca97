"""Leads from CSV, one action per row.

The rows are kept in a temporary database while they are put together, so that a lead's rows may stand anywhere.
"""

import csv
import io
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any

from billing.texts import text_key
from scripts.cli.ingest.lead_entries import SHOWN_BYTES, BadLines, Entry, Line, Stream, Unreadable, encode

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
_ACTION_COLUMNS = ("action_type", "engagement_level", "timestamp")


def csv_leads(stream: Stream) -> Iterator[Entry | BadLines]:
    """One action per row; rows with the same lead, wherever they stand, are one lead, in the order of their first rows.

    Rows that name one lead but another customer, product or lead type are a lead of their own: what that means is for
    the engine to say.
    """
    # With an empty name SQLite keeps the table in memory while it is small and in a temporary file when it is not.
    with closing(sqlite3.connect("", isolation_level=None)) as table:
        # allowed: a temporary table of SQLite
        table.execute("CREATE TABLE rows (key TEXT, line INTEGER, text BLOB, lead TEXT, action TEXT)")
        table.execute("BEGIN")
        bad: list[BadLines] = []
        # allowed: a temporary table of SQLite
        table.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", _csv_rows(stream, bad.append))
        yield from bad
        rows = table.execute(
            # allowed: a temporary table of SQLite
            "SELECT key, line, text, lead, action FROM"
            " (SELECT *, min(line) OVER (PARTITION BY key) AS first FROM rows) ORDER BY first, line"
        )
        yield from _leads_of_rows(rows)


def _csv_rows(stream: Stream, bad: Callable[[BadLines], None]) -> Iterator[tuple[str, int, bytes, str, str]]:
    lines = _Remembered(io.TextIOWrapper(stream, "utf-8", "surrogateescape", newline=""))
    header, delimiter = _header(lines)
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        first, reason = lines.number + 1, ""
        try:
            values = next(reader, None)
        except csv.Error as error:
            values, reason = [""], f"is not valid CSV: {error}"
        if values is None:
            return
        text = encode(lines.taken())
        if values and len(values) != len(header):
            reason = reason or f"has {len(values)} fields where the heading has {len(header)}"
        if reason:
            bad(BadLines((Line(first, text[:SHOWN_BYTES]),), reason))
        elif any(values):
            cells = {name: value for name, value in zip(header, values, strict=True) if value}
            yield _key(cells), first, text, _lead_json(cells), _json(cells, _ACTION_COLUMNS)


def _header(lines: "_Remembered") -> tuple[list[str], str]:
    first = next(lines, "")
    lines.taken()
    delimiter = max(",;\t", key=first.count)
    header = [name.strip().casefold() for name in next(csv.reader([first], delimiter=delimiter), [])]
    missing, unknown = _NEEDED - set(header), set(header) - set(CSV_COLUMNS)
    if first and missing:
        raise Unreadable(f"The first line lacks the columns {', '.join(sorted(missing))}.")
    if unknown or len(set(header)) < len(header):
        named = ", ".join(sorted(map(repr, unknown))) or "one twice"
        raise Unreadable(
            f"The first line names columns that are not known: {named}; known are {', '.join(CSV_COLUMNS)}."
        )
    return header, delimiter


class _Remembered:
    """Lines of a text, with those since the last row kept as they stand."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._taken: list[str] = []
        self.number = 0

    def __iter__(self) -> "_Remembered":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        self._taken.append(line)
        return line

    def taken(self) -> str:
        text = "".join(self._taken).rstrip("\r\n")
        self._taken.clear()
        return text


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
