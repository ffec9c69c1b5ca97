"""The home holds names, amounts and keys: it is its owner's, and nothing in it leads elsewhere."""

import os
from collections.abc import Iterator
from pathlib import Path
from stat import S_IMODE

from scripts.errors import CannotStart

_WRITABLE_BY_OTHERS = 0o022


def make_private(path: Path) -> None:
    """Close an existing folder to other users.

    Raises CannotStart if it belongs to another user, or if others could write to it and left something in it: what
    Leadger writes would go where their links lead, and what they wrote would count, like a password. The folder is
    closed before it is looked at, so that nothing can be added after the look, and a refused one is as it was.
    """
    status = path.stat()
    if status.st_uid != os.geteuid():
        raise CannotStart(f"{path} belongs to another user: choose another folder with --home.")
    path.chmod(0o700)
    if status.st_mode & _WRITABLE_BY_OTHERS and (planted := next(_planted(path), None)):
        path.chmod(S_IMODE(status.st_mode))
        what = "is a link" if planted.is_symlink() else "belongs to another user"
        raise CannotStart(
            f"{planted} {what}, and others could write to {path}: remove what you did not put there, then start again."
        )


def _planted(path: Path) -> Iterator[Path]:
    """The links, and what other users made, in a folder and in those that Leadger writes to itself."""
    for folder in (path, path / "logs", path / "reports"):
        if folder.is_dir() and not folder.is_symlink():
            yield from (entry for entry in sorted(folder.iterdir()) if _is_planted(entry))


def _is_planted(entry: Path) -> bool:
    return entry.is_symlink() or entry.lstat().st_uid != os.geteuid()
