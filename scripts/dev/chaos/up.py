"""`leadger up` itself, as a person starts it, to be killed and started again on the same home."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from scripts.dev.chaos.load import Stuck
from scripts.dev.chaos.stack import Place, is_ready
from scripts.local.embedded.ports import free_port
from scripts.local.launcher.home import Home, read_dev_env
from scripts.local.processes.keeper import descendants

_START_S = 120.0
_PR_SET_PDEATHSIG = 1
_LEADGER = (sys.executable, "-c", "from scripts.cli.app import app; app()")
_ROOT = Path(__file__).parents[3]


@dataclass
class RunningUp(Place):
    """A `leadger up` that runs, or was killed."""

    process: subprocess.Popen[bytes] | None = None

    @property
    def _port(self) -> str:
        return self.url.rpartition(":")[2]

    def start(self) -> None:
        """Start it and wait until its samples are billed and its address is printed."""
        env = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
        self.home.dev_env.unlink(missing_ok=True)  # it is written anew when the API is up
        with (self.home.path / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*_LEADGER, "up", "--port", self._port, "--home", str(self.home.path)],
                env=env | {"LOG_LEVEL": "WARNING"},
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_end_with_parent,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_S
        while not ((env_file := read_dev_env(self.home.path)) and is_ready(self.url)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Stuck(f"`leadger up` did not start; see {self.home.path / 'up.log'}")
            time.sleep(0.1)
        self.key = env_file.api_key
        self.database_url = _database_url(self.home)

    def family(self) -> list[int]:
        """Every process of it but the supervisor."""
        assert self.process is not None
        return descendants(self.process.pid)

    def kill(self) -> None:
        """SIGKILL to the supervisor alone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Ctrl-C, and SIGKILL if it does not end by that; what it left ends by its keepers."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(90)
            except subprocess.TimeoutExpired:
                self.kill()


@contextmanager
def running_up(home: Path) -> Iterator[RunningUp]:
    """`leadger up` in a new home until the end of the block."""
    home.mkdir(parents=True, exist_ok=True)
    up = RunningUp(f"http://127.0.0.1:{free_port()}", "", "", "", Home(home.resolve()))
    try:
        up.start()
        yield up
    finally:
        up.stop()


def _database_url(home: Home) -> str:
    """The embedded database's address, from the files of the server itself: its port is another at every start."""
    port = (home.postgres / "postmaster.pid").read_text().splitlines()[3]
    password = (home.postgres / "leadger.password").read_text()
    return f"postgresql://leadger:{quote(password)}@127.0.0.1:{port}/leadger"


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
