"""Runs one command and sees to it that nothing of it is left behind, however it or its supervisor ends.

    python -I -S keeper.py LIFELINE STOP_SIGNAL GRACE_S COMMAND...

LIFELINE is the reading end of a pipe whose writing end only the supervisor holds. When it closes, because the
supervisor stops this command or because the supervisor itself is gone, the command gets STOP_SIGNAL and,
GRACE_S seconds later, it and all its descendants get SIGKILL. When the command ends by itself, what it left
running is killed. Three properties of Linux make that hold:

- the keeper is a subreaper: whatever the command forks stays a descendant of the keeper, also in a new
  session;
- the command has PR_SET_PDEATHSIG, so it dies with the keeper, and it shares the keeper's process group, so
  that the supervisor can end the rest when the keeper is killed;
- a pipe is closed by the kernel, so a supervisor killed by SIGKILL is noticed at once.

The exit status is the command's, or 128 + the number of the signal that ended it. Standard library only, and
no import from this project: it starts in about 15 ms.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def descendants(pid: int) -> list[int]:
    """All living descendants of a process, in no particular order."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as stat:
                # The command's name stands in brackets and may itself hold brackets and spaces.
                state, parent = stat.read().rpartition(b")")[2].split()[:2]
        except OSError:
            continue
        if state != b"Z":
            children.setdefault(int(parent), []).append(int(entry))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def keep(lifeline: int, stop_signal: int, grace_s: float, command: list[str]) -> int:
    """Run the command to its end and return the exit status; nothing of it is alive afterwards."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.set_inheritable(lifeline, False)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    main = _spawn(libc, command)

    # Only now, so that no signal to the command is lost in a handler inherited until its program is loaded.
    woken, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)

    deadline: float | None = None
    while (status := _reap(main)) is None:
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        readable, _, _ = select.select([woken] if deadline else [woken, lifeline], [], [], timeout)
        signals = os.read(woken, 512) if woken in readable else b""
        if deadline is None and (lifeline in readable or signal.SIGTERM in signals):
            os.kill(main, stop_signal)
            deadline = time.monotonic() + grace_s
        elif deadline is not None and time.monotonic() >= deadline:
            break
    return _end_descendants(main, status)


def _spawn(libc: ctypes.CDLL, command: list[str]) -> int:
    keeper = os.getpid()
    if pid := os.fork():
        return pid
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != keeper:
        os._exit(1)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 - running a command without a shell is the point
    except OSError as error:
        os.write(2, f"cannot run {command[0]}: {error.strerror}\n".encode())
        os._exit(127)


def _reap(main: int) -> int | None:
    """Collect every child that has ended; the exit status of the command if it was among them."""
    ended = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        if pid == main:
            code = os.waitstatus_to_exitcode(status)
            ended = code if code >= 0 else 128 - code


def _end_descendants(main: int, status: int | None) -> int:
    while left := descendants(os.getpid()):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)
        status = _reap(main) if status is None else status
    last = _reap(main) if status is None else status
    return 128 + signal.SIGKILL if last is None else last


if __name__ == "__main__":
    sys.exit(keep(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]))
