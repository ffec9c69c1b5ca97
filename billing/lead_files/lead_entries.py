"""What reading files gives: leads as their text stands, and the lines they come from."""

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

# Generic for the type checker only.
if TYPE_CHECKING:
    Stream = io.BufferedReader[Any]
else:
    Stream = io.BufferedReader

LONGEST_LEAD_BYTES = 16 * 1024 * 1024
BLOCK_BYTES = 1024 * 1024
SHOWN_BYTES = 1000


class Unreadable(Exception):
    """A file cannot be read at all, or not to its end; the message is for a person."""


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


def encode(text: str) -> bytes:
    """The bytes of a text that was decoded with surrogates for what is no UTF-8."""
    return text.encode("utf-8", "surrogateescape")
