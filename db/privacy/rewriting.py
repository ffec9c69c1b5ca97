"""Rewriting a report file line by line; it is replaced at once, so that readers see the old one or the new one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

import fsspec

from db.core.settings import Settings
from db.reports.report_files import file_errors, spool, write_file

AS_IT_IS = {"encoding": "utf-8", "errors": "surrogateescape"}
"""How text is read and written, so that bytes that are no UTF-8 stay what they are."""

_BLOCK_BYTES = 1024 * 1024

Edit = Callable[[Iterator[str]], Iterator[str]]
"""Turns the lines of a file into new ones."""


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file as it is now, and whether it was changed."""

    size_bytes: int
    sha256: str
    changed: bool


def rewrite(url: str, edit: Edit, settings: Settings) -> WrittenFile | None:
    """Edit a file; None if it is gone. FileUnavailable if it cannot be read or written."""
    before, after, size = sha256(), sha256(), 0
    with file_errors(url), spool(settings) as file:
        try:
            for text in edit(_lines(url, before)):
                data = text.encode(**AS_IT_IS)
                after.update(data)
                size += len(data)
                file.write(data)
        except FileNotFoundError:
            return None
        changed = after.digest() != before.digest()
        if changed:
            file.seek(0)
            write_file(url, iter(partial(file.read, _BLOCK_BYTES), b""))
    return WrittenFile(size, after.hexdigest(), changed)


def _lines(url: str, digest: Any) -> Iterator[str]:
    """The lines of a file, which are added to its digest as they are read."""
    with fsspec.open(url, "r", newline="", **AS_IT_IS) as file:
        for line in file:
            digest.update(line.encode(**AS_IT_IS))
            yield line
