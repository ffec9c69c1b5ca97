"""Opening what is to be read: a file or standard input."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from billing.lead_files.lead_entries import Unreadable


@contextmanager
def open_source(name: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """A file, or standard input for "-", with its size if that is known; raises Unreadable if it cannot be opened."""
    if name == "-":
        yield sys.stdin.buffer, None
        return
    path = Path(name)
    try:
        file = path.open("rb", buffering=0)
    except OSError as error:
        raise Unreadable(f"{name} cannot be read: {error.strerror}.") from None
    with file:
        yield file, path.stat().st_size if path.is_file() else None
