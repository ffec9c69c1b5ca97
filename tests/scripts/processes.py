"""Small process trees and questions about processes, for the tests of the launcher."""

import time
from collections.abc import Callable
from pathlib import Path

from scripts.local.processes.process import Command


def tree(pids: Path, *, first: str = "", grace_s: float = 5) -> Command:
    """A main process with a child in its group and one in a session of its own; it writes the three ids."""
    script = f'{first}\nsleep 600 & a=$!; setsid sleep 600 & echo "$$ $a $!" > "$0.new"; mv "$0.new" "$0"; wait'
    return Command(("sh", "-c", script, str(pids)), grace_s=grace_s)


def read_pids(pids: Path) -> list[int]:
    """The ids of a tree that has just been started."""
    wait_until(pids.exists, "the tree is up")
    return [int(pid) for pid in pids.read_text().split()]


def is_alive(pid: int) -> bool:
    """Whether a process is there and not only waiting to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(is_so: Callable[[], bool], what: str, timeout_s: float = 10) -> None:
    """Fail unless it becomes so in time."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.01)


def wait_until_gone(pids: list[int]) -> None:
    """Fail unless every one of these processes ends in time."""
    wait_until(lambda: not any(map(is_alive, pids)), f"{[pid for pid in pids if is_alive(pid)]} gone")
