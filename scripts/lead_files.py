"""Reading leads from files: JSON, NDJSON and CSV, gzip or not, a piece at a time.

What is read is not judged here: every lead goes to the API as its text stands, and only what cannot be sent at all is
a bad line. A CSV file is kept in a temporary database of its own while it is put together, the others are streamed.
"""

import codecs
import csv
import gzip
import io
import json
import re
import sqlite3
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

LONGEST_LEAD_BYTES = 16 * 1024 * 1024
_BLOCK_BYTES = 1024 * 1024
_SHOWN_BYTES = 1000
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_SPACE = re.compile(r"[ \t\r\n]*")
_LINE_BREAKS = re.compile(r"[\r\n]+")

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


class Format(StrEnum):
    """What a file holds."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


class Unreadable(Exception):
    """A file cannot be read at all, or not to its end; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file, counted from 1."""

    number: int
    text: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One lead: its JSON on one line, and the lines it comes from; of a CSV file one line per action."""

    body: bytes
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class BadLines:
    """Lines that are no lead, and why."""

    lines: tuple[Line, ...]
    reason: str


def open_source(name: str) -> tuple[BinaryIO, int | None]:
    """A file, or standard input for "-", and its size if that is known; raises Unreadable."""
    if name == "-":
        return sys.stdin.buffer, None
    path = Path(name)
    try:
        file = path.open("rb", buffering=0)
        return file, path.stat().st_size if path.is_file() else None  # type: ignore[return-value]  # a raw file reads bytes
    except OSError as error:
        raise Unreadable(f"{name} cannot be read: {error.strerror}.") from None


def read_leads(
    source: BinaryIO, name: str, kind: Format | None, on_bytes: Callable[[int], None] = lambda count: None
) -> Iterator[Entry | BadLines]:
    """The leads of an open source; `on_bytes` is told how many bytes of it were read. Raises Unreadable."""
    stream = io.BufferedReader(_Counted(source, on_bytes), _BLOCK_BYTES)
    try:
        if stream.peek(2).startswith(_GZIP):
            stream = io.BufferedReader(gzip.GzipFile(fileobj=stream), _BLOCK_BYTES)  # type: ignore[arg-type]  # it has readinto
        if stream.peek(3).startswith(_BOM):
            stream.read(len(_BOM))
        yield from _READERS[kind or _recognise(stream, name)](stream)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise Unreadable(f"{name} is damaged: its gzip data ends too early or is not valid.") from None
    except (OSError, sqlite3.Error) as error:
        raise Unreadable(f"{name} cannot be read to its end: {error}.") from None


class _Counted(io.RawIOBase):
    """Hands bytes on and tells how many."""

    def __init__(self, source: BinaryIO, on_bytes: Callable[[int], None]) -> None:
        # One read of a pipe may give less than was asked for; waiting for all of it would hold up a slow writer's leads.
        self._readinto: Callable[[Any], int | None] = getattr(source, "readinto1", None) or source.readinto  # type: ignore[attr-defined]
        self._on_bytes = on_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count = self._readinto(buffer)
        self._on_bytes(count or 0)
        return count


def _recognise(stream: io.BufferedReader, name: str) -> Format:
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    for suffix, kind in ((".csv", Format.CSV), (".ndjson", Format.NDJSON), (".jsonl", Format.NDJSON)):
        if suffix in suffixes[-2:]:
            return kind
    head = stream.peek(_BLOCK_BYTES)
    text = head.lstrip()
    first, broken, _ = text.partition(b"\n")
    if text.startswith(b"{"):
        return Format.JSON if not broken or _is_cut_off(first) else Format.NDJSON
    if text.startswith(b"[") or not text:
        return Format.JSON
    if b"lead_id" in first:
        return Format.CSV
    raise Unreadable(f"{name} is neither JSON, NDJSON nor CSV with a column lead_id; say which one it is with --format.")


def _is_cut_off(line: bytes) -> bool:
    """Whether the line is the beginning of a JSON value that goes on in the next one."""
    try:
        json.loads(line)
    except json.JSONDecodeError as error:
        return error.pos >= len(line.decode(errors="replace").rstrip())
    except (ValueError, RecursionError):
        return False
    return False


def ndjson_leads(stream: io.BufferedReader) -> Iterator[Entry | BadLines]:
    """One lead per line; empty lines are passed over."""
    number = 0
    while line := stream.readline(LONGEST_LEAD_BYTES):
        number += 1
        if len(line) == LONGEST_LEAD_BYTES and not line.endswith(b"\n"):
            shown = (Line(number, line[:_SHOWN_BYTES]),)
            while line and not line.endswith(b"\n"):
                line = stream.readline(_BLOCK_BYTES)
            yield BadLines(shown, f"is longer than {LONGEST_LEAD_BYTES} bytes; its beginning is kept here")
        elif text := line.strip():
            yield Entry(text, (Line(number, text),))


def json_leads(stream: io.BufferedReader) -> Iterator[Entry | BadLines]:
    """The elements of a JSON list, or one lead."""
    window = _Window(stream)
    in_list = window.next_character() == "["
    if in_list:
        window.skip(1)
        if window.next_character() == "]":
            window.skip(1)
    while window.next_character():
        number = window.line
        try:
            text = window.value()
            if in_list and window.next_character() not in (",", "]"):
                raise ValueError("a comma or ] is missing after it")
        except (ValueError, RecursionError) as error:
            reason = f"is not valid JSON ({error or 'it is nested too deeply'}); the rest of the file was not read"
            yield BadLines((Line(number, _bytes(window.rest()[:_SHOWN_BYTES])),), reason)
            return
        body = _bytes(_LINE_BREAKS.sub(" ", text))
        yield Entry(body, (Line(number, body),))
        if in_list and window.next_character():
            in_list = window.take() == ","


class _Window:
    """The part of a text that is being read, with the number of the line it stands in."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self._value = json.JSONDecoder().raw_decode
        self._text = ""
        self._at = 0
        self._ended = False
        self.line = 1

    def next_character(self) -> str:
        """The next character that is not space, still unread; empty at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            self.skip((match.end() if match else self._at) - self._at)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self) -> str:
        """Read the next character."""
        self.skip(1)
        return self._text[self._at - 1]

    def skip(self, count: int) -> None:
        """Leave characters behind."""
        self.line += self._text.count("\n", self._at, self._at + count)
        self._at += count

    def value(self) -> str:
        """Read one JSON value; raises ValueError if there is none. Its end may lie beyond what was read so far."""
        while True:
            try:
                _, end = self._value(self._text, self._at)
                if end < len(self._text) or not self._more():
                    break
            except ValueError as error:
                if len(self._text) - self._at > LONGEST_LEAD_BYTES or not self._more():
                    raise ValueError(getattr(error, "msg", error)) from None
        at = self._at
        self.skip(end - at)
        return self._text[at:end]

    def rest(self) -> str:
        """What was read ahead."""
        return self._text[self._at :]

    def _more(self) -> bool:
        if self._ended:
            return False
        block = self._stream.read(_BLOCK_BYTES)
        self._ended = not block
        self._text, self._at = self._text[self._at :] + self._decode(block, final=self._ended), 0
        return True


def csv_leads(stream: io.BufferedReader) -> Iterator[Entry | BadLines]:
    """One action per row; rows with the same lead, wherever they stand, are one lead, in the order of their first rows.

    Rows that name one lead but another customer, product or lead type are a lead of their own: what that means is for
    the engine to say.
    """
    # With an empty name SQLite keeps the table in memory while it is small and in a temporary file when it is not.
    with closing(sqlite3.connect("", isolation_level=None)) as table:
        table.execute("CREATE TABLE rows (key TEXT, line INTEGER, text BLOB, lead TEXT, action TEXT)")
        table.execute("BEGIN")
        bad: list[BadLines] = []
        table.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", _csv_rows(stream, bad.append))
        yield from bad
        rows = table.execute(
            "SELECT key, line, text, lead, action FROM"
            " (SELECT *, min(line) OVER (PARTITION BY key) AS first FROM rows) ORDER BY first, line"
        )
        yield from _leads_of_rows(rows)


def _csv_rows(
    stream: io.BufferedReader, bad: Callable[[BadLines], None]
) -> Iterator[tuple[str, int, bytes, str, str]]:
    lines = _Remembered(io.TextIOWrapper(stream, "utf-8-sig", "surrogateescape", newline=""))
    header, delimiter = _header(lines)
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        first, fault = lines.number + 1, ""
        try:
            values = next(reader, None)
        except csv.Error as error:
            values, fault = [""], f"is not valid CSV: {error}"
        if values is None:
            return
        text = _bytes(lines.taken())
        if values and len(values) != len(header):
            fault = fault or f"has {len(values)} fields where the heading has {len(header)}"
        if fault:
            bad(BadLines((Line(first, text[:_SHOWN_BYTES]),), fault))
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
        raise Unreadable(f"The first line names columns that are not known: {named}; known are {', '.join(CSV_COLUMNS)}.")
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
    kind = cells.get("lead_type", "").strip().casefold()
    return json.dumps([cells.get(name, "") for name in ("source", "lead_id", "customer_id", "product_id")] + [kind])


def _lead_json(cells: dict[str, str]) -> str:
    lead: dict[str, Any] = {name: cells[name] for name in _LEAD_COLUMNS if name in cells}
    person = {name: cells[f"customer_{name}"] for name in ("name", "email") if f"customer_{name}" in cells}
    return json.dumps(lead | ({"customer": person} if person else {}))


def _json(cells: dict[str, str], names: Iterable[str]) -> str:
    return json.dumps({name: cells[name] for name in names if name in cells})


def _leads_of_rows(rows: Iterable[tuple[str, int, bytes, str, str]]) -> Iterator[Entry]:
    key, lines, leads, actions = "", [], [], []
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


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


_READERS: dict[Format, Callable[[io.BufferedReader], Iterator[Entry | BadLines]]] = {
    Format.JSON: json_leads,
    Format.NDJSON: ndjson_leads,
    Format.CSV: csv_leads,
}
