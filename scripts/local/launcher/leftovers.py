"""What a run may have left behind whose supervisor and keepers were killed at the same moment.

A keeper outlives its supervisor just long enough to stop its command, and a supervisor ends what a killed
keeper leaves. Only when both are killed at once a grandchild can stay. It is found by a mark in its
environment.
"""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

_MARK = "LEADGER_SUPERVISED_HOME"
_PATIENCE_S = 15.0


def mark(home: Path) -> dict[str, str]:
    """The environment variable that every supervised process carries."""
    return {_MARK: str(home)}


def end_leftovers(home: Path) -> None:
    """End every process of an earlier run with this home; the caller holds the home's lock.

    One that is stopping by itself gets 15 seconds to do so.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while left := _marked(home):
        keepers_at_work = any(_is_keeper(pid) for pid in left)
        if not keepers_at_work or time.monotonic() > deadline:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _marked(home: Path) -> list[int]:
    wanted = f"{_MARK}={home}".encode()
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                environment = Path(f"/proc/{entry}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if wanted in environment:
                found.append(int(entry))
    return found


def _is_keeper(pid: int) -> bool:
    try:
        return b"keeper.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
