"""The home holds names, amounts and keys: it is its owner's, and nothing in it leads elsewhere."""

import os
from collections.abc import Iterator
from pathlib import Path

from scripts.errors import CannotStart

_WRITABLE_BY_OTHERS = 0o022


def make_private(path: Path) -> None:
    """Close an existing folder to other users.

    Raises CannotStart if it belongs to another user, or if others could write to it and left links in it: what
    Leadger writes would go where they lead.
    """
    status = path.stat()
    if status.st_uid != os.geteuid():
        raise CannotStart(f"{path} belongs to another user: choose another folder with --home.")
    if status.st_mode & _WRITABLE_BY_OTHERS and (link := next(_links(path), None)):
        raise CannotStart(
            f"{link} is a link, and others could write to {path}: remove what you did not put there, then start again."
        )
    path.chmod(0o700)


def _links(path: Path) -> Iterator[Path]:
    """The links in a folder and in those that Leadger writes to itself."""
    for folder in (path, path / "logs", path / "reports"):
        if folder.is_dir() and not folder.is_symlink():
            yield from (entry for entry in sorted(folder.iterdir()) if entry.is_symlink())
