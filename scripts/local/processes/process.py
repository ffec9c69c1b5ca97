"""A command under a keeper: whoever starts it may be killed at any moment and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

_KEEPER = Path(__file__).with_name("keeper.py")


@dataclass(frozen=True)
class Command:
    """What to run and how to end it: `stop_signal` to the main process, after `grace_s` seconds SIGKILL."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    grace_s: float = 10.0


class Process:
    """A running command in a session of its own, with the caller's environment and what the command adds."""

    def __init__(self, command: Command, output: int | IO[bytes] = subprocess.DEVNULL) -> None:
        self._lock = threading.Lock()
        reading, self._lifeline = os.pipe()
        try:
            self._keeper = subprocess.Popen(
                [
                    # Without site-packages the keeper starts in 15 ms instead of 60.
                    *(sys.executable, "-I", "-S", str(_KEEPER)),
                    *(str(reading), str(int(command.stop_signal)), str(command.grace_s)),
                    *command.argv,
                ],
                env={**os.environ, **command.env},
                cwd=command.cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(reading,),
                start_new_session=True,
            )
        except OSError:
            self._cut_lifeline()
            raise
        finally:
            os.close(reading)

    @property
    def pid(self) -> int:
        """The keeper's process id, which is also the process group of the command."""
        return self._keeper.pid

    @property
    def output(self) -> IO[bytes]:
        """What the command and its children write, standard error included, if that goes to a pipe."""
        assert self._keeper.stdout is not None
        return self._keeper.stdout

    @property
    def running(self) -> bool:
        """Whether the keeper is at work; leaves its collection to `wait`."""
        if self._keeper.returncode is not None:
            return False
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None

    def stop(self) -> None:
        """Ask the command to end; returns at once."""
        self._cut_lifeline()

    def kill(self) -> None:
        """End the command and its process group without asking."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Wait for the end; the exit status, or 128 + the number of the signal that ended the command."""
        if self._keeper.returncode is None:
            # The keeper is not collected yet, so its id, the group's name, cannot have passed to somebody
            # else.
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            self.kill()
        code = self._keeper.wait()
        self._cut_lifeline()
        return code if code >= 0 else 128 - code

    def _cut_lifeline(self) -> None:
        with self._lock:
            lifeline, self._lifeline = self._lifeline, -1
        if lifeline >= 0:
            os.close(lifeline)
