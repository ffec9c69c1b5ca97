"""One release of Leadger, running: its processes are started and stopped one by one."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from scripts.local.embedded.ports import free_port
from scripts.local.launcher import commands
from scripts.local.launcher.home import Home
from scripts.local.processes.process import Command, Process

_START_S, _STOP_S = 300.0, 300.0  # a machine with other work on it is no fault of a release


@dataclass
class Release:
    """The code in one folder; every process of it ends with `stop`."""

    code: Path
    home: Path
    env: Mapping[str, str]
    port: int = field(default_factory=free_port)
    processes: dict[str, Process] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *parts: str) -> None:
        """Start "api", "worker", "background" or "beat"; a release before 0.2.0 has no "background"."""
        env = {**self.env, "LEADGER_HOME": str(self.home)}
        known = {
            "api": self._api(env),
            "worker": self._as_known(commands.worker(env)),
            "background": self._as_known(commands.background(env)),
            "beat": self._as_known(commands.beat(Home(self.home), env)),
        }
        self.home.mkdir(exist_ok=True)
        for part in parts:
            with (self.home / f"{part}.log").open("ab") as log:
                self.processes[part] = Process(replace(known[part], cwd=self.code, grace_s=_STOP_S), log)

    def _api(self, env: dict[str, str]) -> Command:
        now = commands.api(self.port, env)
        if (self.code / "api/__main__.py").exists():
            return now
        # The first release was started as granian itself.
        return replace(now, argv=tuple("granian" if word == "api" else word for word in now.argv))

    def _as_known(self, now: Command) -> Command:
        """The command of a worker or beat; an older release knows only that of Celery."""
        if (self.code / "worker/command.py").exists():
            return now
        python, _, _, *words = now.argv
        return replace(now, argv=(python, "-m", "celery", "--quiet", "-A", *words))

    def stop(self, *parts: str) -> dict[str, int]:
        """SIGTERM; the exit status of each, 137 for one that had to be killed."""
        stopped = {part: self.processes.pop(part) for part in parts or tuple(self.processes)}
        for process in stopped.values():
            process.stop()
        return {part: process.wait() for part, process in stopped.items()}

    def readiness(self) -> httpx.Response:
        """What its API says at /ready, as soon as it says anything, for which it is waited for while it runs."""
        deadline = time.monotonic() + _START_S
        while True:
            try:
                return httpx.get(f"{self.url}/ready", timeout=60, trust_env=False)
            except httpx.HTTPError:
                is_coming = self.processes["api"].running and time.monotonic() < deadline
                assert is_coming, (self.home / "api.log").read_text()[-2000:]
                time.sleep(0.05)


@contextmanager
def release(code: Path, home: Path, database_url: str, redis_url: str) -> Iterator[Release]:
    """A release of which nothing runs yet, and nothing at the end of the block."""
    running = Release(
        code,
        home,
        {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "LOG_LEVEL": "WARNING",
            "LEADGER_SWEEP_INTERVAL_S": "1",
        },
    )
    try:
        yield running
    finally:
        running.stop()
