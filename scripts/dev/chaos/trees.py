"""The processes of one part of the stack, found below this process and nowhere else."""

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scripts.local.processes.keeper import descendants

PART = "LEADGER_FAULTS_PART"
"""The environment variable that says which part a keeper keeps."""


@dataclass(frozen=True)
class Tree:
    """A part's main process and everything below it."""

    main: int
    below: tuple[int, ...]

    @property
    def all(self) -> tuple[int, ...]:
        """Every process, the main one last."""
        return (*self.below, self.main)


def find(part: str) -> Tree | None:
    """The processes of a part of ours; None while it is down."""
    for keeper in descendants(os.getpid()):
        if not _keeps(keeper, part):
            continue
        below = descendants(keeper)
        main = next((pid for pid in below if _parent(pid) == keeper), None)
        if main is not None:
            return Tree(main, tuple(pid for pid in below if pid != main))
    return None


def wait_for(part: str, *, other_than: int = 0, timeout_s: float = 90.0) -> Tree:
    """The processes of a part as soon as it is up, with another main process than an old one."""
    deadline = time.monotonic() + timeout_s
    while True:
        tree = find(part)
        if tree is not None and tree.main != other_than:
            return tree
        if time.monotonic() > deadline:
            raise TimeoutError(f"{part} did not come up within {timeout_s:.0f} s")
        time.sleep(0.01)


def send(pids: tuple[int, ...], number: signal.Signals) -> None:
    """Signal processes that were found a moment ago; one that has ended since is passed over."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def is_alive(pid: int) -> bool:
    """Whether a process is there and not only waiting to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _keeps(pid: int, part: str) -> bool:
    try:
        is_keeper = b"keeper.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
        return is_keeper and f"{PART}={part}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
