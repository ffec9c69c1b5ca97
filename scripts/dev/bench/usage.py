"""How much memory and CPU time the processes of a command use, from /proc."""

import os
from collections.abc import Iterable
from pathlib import Path

MB = 1_000_000
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def of_session(leader: int) -> list[int]:
    """The processes of a session: what a keeper started, and the keeper itself."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if int(_stat(pid)[3]) == leader]


def peak_mb(leader: int) -> dict[int, float]:
    """The most memory each process of a session ever held (VmHWM), the keeper left out."""
    return {pid: peak for pid in of_session(leader) if pid != leader and (peak := _status_mb(pid, "VmHWM"))}


def of_folder(folder: Path) -> list[int]:
    """The processes that work in a folder; every process of PostgreSQL works in its data folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink() == folder:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def cpu_s(pids: Iterable[int]) -> dict[int, float]:
    """The CPU time that processes and their ended children have used so far, in steps of 10 ms.

    It hardly depends on who else is busy. A backend of Postgres ends with its connection.
    """
    return {pid: sum(map(int, _stat(pid)[11:15])) / _TICKS_PER_S for pid in pids}


def used_s(before: dict[int, float], after: dict[int, float]) -> float:
    """The CPU time between two readings, also of processes that began or ended meanwhile, if their parent is there."""
    return sum(after.values()) - sum(before.values())


def _stat(pid: int) -> list[str]:
    """What /proc says after the name, which may hold anything; zeros for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["0"] * 20


def _status_mb(pid: int, name: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) * 1024 / MB for line in lines if line.startswith(name + ":")), 0.0)
