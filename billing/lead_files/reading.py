"""Reading leads from files: JSON, NDJSON and CSV, gzip or not, a piece at a time.

What is read is not judged here: every lead goes to the API as its text stands, and only what cannot be sent at all is
a bad line.
"""

import gzip
import io
import json
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

from billing.lead_files.lead_csv import csv_leads
from billing.lead_files.lead_entries import BLOCK_BYTES, BadLines, Entry, Stream, Unreadable
from billing.lead_files.lead_json import json_leads, ndjson_leads

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


class Format(StrEnum):
    """What a file holds."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


def read_leads(
    source: BinaryIO, name: str, kind: Format | None, on_bytes: Callable[[int], None] = lambda count: None
) -> Iterator[Entry | BadLines]:
    """The leads of an open source; `on_bytes` gets how many bytes of it were read. Raises Unreadable."""
    stream: Stream = io.BufferedReader(_Counted(source, on_bytes), BLOCK_BYTES)
    try:
        if stream.peek(2).startswith(_GZIP):
            stream = io.BufferedReader(gzip.GzipFile(fileobj=stream), BLOCK_BYTES)
        if stream.peek(3).startswith(_BOM):
            stream.read(len(_BOM))
        yield from READERS[kind or recognise(stream, name)](stream)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise Unreadable(f"{name} is damaged: its gzip data ends too early or is not valid.") from None
    except (OSError, sqlite3.Error) as error:
        raise Unreadable(f"{name} cannot be read to its end: {error}.") from None


class _Counted(io.RawIOBase):
    """Hands bytes on and reports how many."""

    def __init__(self, source: BinaryIO, on_bytes: Callable[[int], None]) -> None:
        # One read of a pipe may give less than was asked for; waiting for all would hold a slow writer up.
        self._readinto: Callable[[Any], int | None] = getattr(source, "readinto1", None) or source.readinto  # type: ignore[attr-defined]
        self._on_bytes = on_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count = self._readinto(buffer)
        self._on_bytes(count or 0)
        return count


def recognise(stream: Stream, name: str) -> Format:
    """What a file holds, by its name and its beginning; raises Unreadable if that is not clear."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    for suffix, kind in ((".csv", Format.CSV), (".ndjson", Format.NDJSON), (".jsonl", Format.NDJSON)):
        if suffix in suffixes[-2:]:
            return kind
    head = stream.peek(BLOCK_BYTES)
    text = head.lstrip()
    first, broken, _ = text.partition(b"\n")
    if text.startswith(b"{"):
        return Format.JSON if not broken or _is_cut_off(first) else Format.NDJSON
    if text.startswith(b"[") or not text:
        return Format.JSON
    if b"lead_id" in first:
        return Format.CSV
    raise Unreadable(f"{name} is neither JSON, NDJSON nor CSV with a column lead_id; say which format it has.")


def _is_cut_off(line: bytes) -> bool:
    """Whether the line is the beginning of a JSON value that goes on in the next one."""
    try:
        json.loads(line)
    except json.JSONDecodeError as error:
        return error.pos >= len(line.decode(errors="replace").rstrip())
    except (ValueError, RecursionError):
        return False
    return False


READERS: dict[Format, Callable[[Stream], Iterator[Entry | BadLines]]] = {
    Format.JSON: json_leads,
    Format.NDJSON: ndjson_leads,
    Format.CSV: csv_leads,
}
"""What reads the leads of an unpacked stream without a byte order mark."""
