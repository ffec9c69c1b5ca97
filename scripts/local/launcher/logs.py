"""The lines of all processes: on the terminal with the name in front, and in one rotated file per process."""

import logging
import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path

from rich.console import Console
from rich.text import Text

from db.telemetry.access_log import EVENT

_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "red", "white")
_NAME_WIDTH = 8
_ACCESS = f'"event":"{EVENT}"'
_ERROR = re.compile(r"\b(FATAL|PANIC|[A-Za-z]*Error)\b")
FILE_BYTES = 5_000_000
_OLD_FILES = 3


def reason(lines: Sequence[str]) -> str:
    """The line that best says why a process ended: the last one that names an error, else the last one."""
    errors = [line for line in lines if _ERROR.search(line)]
    return next((line for line in reversed(errors or lines) if line), "nothing")


class ProcessLogs:
    """Takes lines from several threads. What cannot be written is dropped: logging never stops a process."""

    def __init__(self, folder: Path, console: Console) -> None:
        self.folder = folder
        self._console = console
        self._files: dict[str, _File] = {}
        self._lock = threading.Lock()

    def write(self, name: str, line: str) -> None:
        """Write one line of the process of this name."""
        with self._lock:
            if name not in self._files:
                self._files[name] = _File(self.folder / f"{name}.log")
            file = self._files[name]
            colour = _COLOURS[list(self._files).index(name) % len(_COLOURS)]
        file.emit(logging.makeLogRecord({"msg": line}))
        if _ACCESS in line:  # one per answer, which would hide everything else on the terminal
            return
        # Rich exits when the other end of a pipe is gone; we only stop writing to it.
        with suppress(OSError, SystemExit):
            self._console.print(Text.assemble((f"{name:<{_NAME_WIDTH}}| ", colour), line), soft_wrap=True)

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()


class _File(RotatingFileHandler):
    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=FILE_BYTES, backupCount=_OLD_FILES, encoding="utf-8", delay=True)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name that logging calls
        """A full disk costs log lines, nothing else."""
