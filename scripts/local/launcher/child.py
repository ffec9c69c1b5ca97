"""One supervised command: started, started again when it dies, and stopped."""

import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable

from scripts.errors import CannotStart
from scripts.local.launcher.logs import ProcessLogs, reason
from scripts.local.processes.process import Command, Process

_UP_S = 5.0  # one that lived this long had started
_MOST_FAILURES = 5
FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 5.0
_LONGEST_LINE = 65_536
_REMEMBERED_LINES = 30
_SIGNALS = {128 + number: number.name for number in signal.Signals}
# Somebody ended it on purpose; that says nothing about whether it can start.
_ENDED_BY_OTHERS = {0, *(128 + number for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT))}


class Child:
    """Runs the command in a thread of its own until `stop`.

    A command that never lived for 5 seconds and ended five times in a row, each time of itself, cannot start
    at all: then `give_up` gets a message that says so. One that has been up is tried for ever, with pauses
    of up to 5 seconds. Before every start `before` is called.
    """

    def __init__(
        self,
        name: str,
        command: Command,
        before: Callable[[], None],
        logs: ProcessLogs,
        give_up: Callable[[str], None],
    ) -> None:
        self._name = name
        self._command = command
        self._before = before
        self._logs = logs
        self._give_up = give_up
        self._process: Process | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._restarting = threading.Event()
        self._wake = threading.Event()
        self._last_lines: deque[str] = deque(maxlen=_REMEMBERED_LINES)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def restart(self) -> None:
        """Stop the command now and start it again, without waiting for either."""
        with self._lock:
            if self._process is not None and self._process.running:
                self._restarting.set()
                self._process.stop()
            self._wake.set()

    def stop(self) -> None:
        """Stop the command and wait until nothing of it is left."""
        with self._lock:
            self._stopping.set()
            self._wake.set()
            if self._process is not None:
                self._process.stop()
        self._thread.join(self._command.grace_s + 5)
        if self._thread.is_alive() and self._process is not None:
            self._process.kill()
            self._thread.join()

    def _run(self) -> None:
        failures = 0
        has_been_up = False
        while not self._stopping.is_set():
            began = time.monotonic()
            self._wake.clear()
            status = self._run_once()
            if self._stopping.is_set():
                return
            if self._restarting.is_set():
                self._restarting.clear()
                failures = 0
                continue
            was_up = time.monotonic() - began > _UP_S
            has_been_up = has_been_up or was_up
            failures = 0 if was_up or status in _ENDED_BY_OTHERS else failures + 1
            if failures == _MOST_FAILURES and not has_been_up:
                self._give_up(self._hopeless(status))
                return
            delay = min(FIRST_DELAY_S * 2 ** max(0, failures - 1), _LONGEST_DELAY_S)
            self._logs.write("leadger", f"{self._name} {_how(status)}; starting it again in {delay:g} s")
            self._wake.wait(delay)

    def _run_once(self) -> int:
        self._last_lines.clear()
        try:
            self._before()
            with self._lock:
                if self._stopping.is_set():
                    return 0
                process = self._process = Process(self._command, subprocess.PIPE)
        except (CannotStart, OSError) as error:
            self._take(str(error))
            return 1
        reader = threading.Thread(target=self._read, args=(process,), name=f"{self._name} output", daemon=True)
        reader.start()
        status = process.wait()
        # Whoever still holds the other end left the group and the keeper; it is not waited for.
        reader.join(timeout=2)
        return status

    def _read(self, process: Process) -> None:
        with process.output as output:
            for line in iter(lambda: output.readline(_LONGEST_LINE), b""):
                self._take(line.decode(errors="replace").rstrip())

    def _take(self, line: str) -> None:
        self._last_lines.append(line)
        self._logs.write(self._name, line)

    def _hopeless(self, status: int) -> str:
        return (
            f"{self._name} cannot be started: {_MOST_FAILURES} times in a row it {_how(status)} at once, "
            f'the last time saying "{reason(self._last_lines)}"; see {self._logs.folder / self._name}.log.'
        )


def _how(status: int) -> str:
    if status == 0:
        return "ended"
    if status in _SIGNALS:
        return f"was ended by {_SIGNALS[status]}"
    return f"ended with status {status}"
