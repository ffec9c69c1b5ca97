"""Keeps named commands running and stops them in the reverse of the order in which they were started."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from rich.console import Console

from scripts.errors import CannotStart
from scripts.local.launcher.child import Child
from scripts.local.launcher.logs import ProcessLogs
from scripts.local.processes.process import Command


class Supervisor:
    """A context manager: at its end nothing that it started is left.

    That also holds when this process is killed: see `keeper.py`.
    """

    def __init__(self, logs: Path, console: Console) -> None:
        self._logs = ProcessLogs(logs, console)
        self._children: dict[str, Child] = {}
        self._failed = threading.Event()
        self._failure = ""

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self, name: str, command: Command, before: Callable[[], None] = lambda: None) -> None:
        """Start a command and start it again whenever it dies; `before` is called before every start."""
        self._children[name] = Child(name, command, before, self._logs, self._give_up)

    def restart(self, name: str) -> None:
        """Stop a command and start it again."""
        self._children[name].restart()

    def say(self, line: str) -> None:
        """Write a line of the supervisor's own among those of the children."""
        self._logs.write("leadger", line)

    def wait(self, timeout_s: float | None = None) -> None:
        """Return after `timeout_s` seconds, or raise CannotStart as soon as a command cannot be started."""
        if self._failed.wait(timeout_s):
            raise CannotStart(self._failure)

    def stop(self) -> None:
        """Stop everything, the last started first, each one only when the one before is gone."""
        while self._children:
            name, child = self._children.popitem()
            child.stop()
            self.say(f"{name} stopped")
        self._logs.close()

    def _give_up(self, failure: str) -> None:
        self._failure = self._failure or failure
        self._failed.set()
