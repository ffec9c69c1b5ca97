"""A file of leads that a person sends: how it is read, and which of its leads can be accepted."""

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from api.body import BOM
from api.problems import FieldError, Problem
from api.schemas.leads import LeadsIn, leads_from_body
from billing.lead_files.lead_csv import CSV_COLUMNS, csv_leads, heading
from billing.lead_files.lead_entries import BLOCK_BYTES, BadLines, Entry, Unreadable
from billing.lead_files.reading import READERS, Format, recognise
from billing.leads import Lead
from db.core.settings import Settings

_TOO_MANY = "which is the most that is taken here; send it in parts, or with `leadger ingest`."
_BEGINNING_BYTES = 64 * 1024
_MOST_COLUMNS = 100
_MOST_LINES = 100_000
"""Of CSV and NDJSON: each line that is no lead is kept with why, and lines are many times smaller than what is kept."""


class Heading(NamedTuple):
    """A heading of a CSV file: its name in small letters, as it is written, and the first value below it."""

    name: str
    written: str
    sample: str


@dataclass(frozen=True, slots=True)
class Look:
    """What a file holds, and of CSV what stands between its values, and its headings."""

    kind: Format
    delimiter: str = ""
    headings: Sequence[Heading] = ()

    @property
    def unknown(self) -> list[Heading]:
        """The headings that name no column of ours."""
        return [each for each in self.headings if each.name not in CSV_COLUMNS]

    def written(self, chosen: Mapping[str, str | None]) -> dict[str, str]:
        """How the file writes each column of ours; empty if it is no CSV."""
        columns = {chosen.get(each.name, each.name): each.written for each in self.headings}
        return {column: written for column, written in columns.items() if column}


@dataclass(frozen=True, slots=True)
class Refused:
    """A lead that cannot be accepted: its first line in the file, why, and its text."""

    line: int
    reasons: Sequence[str]
    text: str


@dataclass(frozen=True, slots=True)
class FileOfLeads:
    """What a file gives: leads that can be accepted, and the others in the order of the file."""

    leads: Sequence[Lead]
    refused: Sequence[Refused]

    @property
    def action_count(self) -> int:
        """The actions of the leads that can be accepted."""
        return sum(len(lead.actions) for lead in self.leads)


def look_at(content: bytes, name: str) -> Look:
    """How an unpacked file will be read; raises Unreadable."""
    content = content.removeprefix(BOM)
    kind = recognise(io.BufferedReader(io.BytesIO(content), BLOCK_BYTES), name)
    if kind is not Format.CSV:
        return Look(kind)
    lines = io.StringIO(content[:_BEGINNING_BYTES].decode("utf-8", "replace"), newline="")
    first, second = next(lines, ""), next(lines, "")
    try:
        names, delimiter = heading(first)
        values = next(csv.reader([second], delimiter=delimiter), [])
    except csv.Error as error:
        raise Unreadable(f"The first lines are not valid CSV: {error}.") from None
    if len(names) > _MOST_COLUMNS or len(first) >= _BEGINNING_BYTES:
        raise Unreadable(f"The first line is too long: {_MOST_COLUMNS} columns are the most that are taken here.")
    values += [""] * (len(names) - len(values))
    return Look(
        kind, delimiter, [Heading(name.casefold(), name, value) for name, value in zip(names, values, strict=False)]
    )


def read_file(
    content: bytes, look: Look, chosen: Mapping[str, str | None], now: datetime, settings: Settings
) -> FileOfLeads:
    """Read all of an unpacked file, CSV with the columns that were chosen; raises Unreadable, Problem 413."""
    kind = look.kind
    if kind is not Format.JSON and content.count(b"\n") + content.count(b"\r") - content.count(b"\r\n") > _MOST_LINES:
        raise Problem(413, f"The file holds more than {_MOST_LINES:,} lines, {_TOO_MANY}")
    stream = io.BufferedReader(io.BytesIO(content.removeprefix(BOM)))
    found = csv_leads(stream, chosen, ":memory:") if kind is Format.CSV else READERS[kind](stream)
    entries: list[Entry] = []
    refused = []
    for each in found:
        if isinstance(each, BadLines):
            refused.append(_refused(each, [each.reason]))
        else:
            entries.append(each)
        if len(entries) > settings.max_batch_leads:
            raise Problem(413, f"The file holds more than {settings.max_batch_leads:,} leads, {_TOO_MANY}")
    read = _leads(entries, now, settings)
    written = look.written(chosen)
    reasons: dict[int, list[str]] = defaultdict(list)
    for error in read.errors:
        index = _index(error)
        reasons[index].append(_reason_in_csv(error, entries[index], written) if written else _reason(error))
    good = {lead.index for lead in read.leads}
    refused += [
        _refused(entry, reasons[index] or ["is not valid"]) for index, entry in enumerate(entries) if index not in good
    ]
    return FileOfLeads(read.leads, sorted(refused, key=lambda each: each.line))


def _leads(entries: Sequence[Entry], now: datetime, settings: Settings) -> LeadsIn:
    if not entries:
        return LeadsIn()
    return leads_from_body(
        b"\n".join(entry.body for entry in entries),
        ndjson=True,
        now=now,
        most_leads=settings.max_batch_leads,
        most_actions=settings.max_lead_actions,
    )


def _index(error: FieldError) -> int:
    return int(error.pointer.split("/")[1])


def _reason(error: FieldError) -> str:
    """Without the number of the lead, which is not the line of the file."""
    return f"{'/'.join(error.pointer.split('/')[2:])} {error.detail}".strip()


def _reason_in_csv(error: FieldError, entry: Entry, written: Mapping[str, str]) -> str:
    """By the heading of the file, and by the line where that is not the first one of the lead."""
    line = entry.lines[0]
    match error.pointer.split("/")[2:]:
        case ["actions", number, column]:
            line = entry.lines[int(number)]
        case ["customer", part]:
            column = f"customer_{part}"
        case [column]:
            pass
        case _:
            return _reason(error)
    where = "" if line == entry.lines[0] else f" (line {line.number})"
    return f"{written.get(column, column)} {error.detail}{where}"


def _refused(found: Entry | BadLines, reasons: Sequence[str]) -> Refused:
    text = b"\n".join(line.text for line in found.lines).decode("utf-8", "replace")
    return Refused(found.lines[0].number, reasons, text)
