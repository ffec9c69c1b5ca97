"""A running Leadger for tests: API, workers and beat as processes of their own, and an API key for everything."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from db.access.api_keys import SCOPES
from scripts.local.embedded.ports import free_port
from scripts.local.first_key import first_key
from scripts.local.launcher import commands
from scripts.local.launcher.home import Home
from scripts.local.processes.process import Command, Process

_START_S = 180.0  # a machine with other work on it is no fault of ours


@dataclass(frozen=True)
class Stack:
    """Where a running Leadger is, what it stands on, and a key with all scopes."""

    url: str
    key: str
    database_url: str
    redis_url: str
    home: Path

    @property
    def env(self) -> dict[str, str]:
        """What the command line needs to reach it."""
        return {"LEADGER_URL": self.url, "LEADGER_API_KEY": self.key, "LEADGER_HOME": str(self.home)}


@contextmanager
def running_stack(
    database_url: str, redis_url: str, home: Path, *, known_key: str = "", **settings: str
) -> Iterator[Stack]:
    """Start API, workers and beat on a migrated database and an empty Redis that nobody else uses.

    Everything ends with the block, and with this process, however it ends. `known_key` is for a database that has keys
    already; `settings` are more environment variables.
    """
    port = free_port()
    env = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "LEADGER_HOME": str(home),
        "LOG_LEVEL": "WARNING",
        "LEADGER_SWEEP_INTERVAL_S": "1",
    } | settings
    home.mkdir(parents=True, exist_ok=True)
    key = known_key or first_key(database_url, "tests", SCOPES)
    assert key is not None, "the database is not fresh"
    stack = Stack(f"http://127.0.0.1:{port}", key, database_url, redis_url, home)
    with ExitStack() as processes:
        for name, command in {
            "worker": commands.worker(env),
            "background": commands.background(env),
            "api": commands.api(port, env),
            "beat": commands.beat(Home(home), env),
        }.items():
            processes.enter_context(_running(command, home / f"{name}.log"))
        wait_until_ready(stack)
        yield stack


@contextmanager
def _running(command: Command, log: Path) -> Iterator[None]:
    with log.open("ab") as output:
        process = Process(command, output)
    try:
        yield
    finally:
        process.stop()
        process.wait()


def wait_until_ready(stack: Stack) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            if httpx.get(f"{stack.url}/ready", timeout=5, trust_env=False).is_success:
                return
        except httpx.HTTPError:
            pass
        assert time.monotonic() < deadline, (stack.home / "api.log").read_text()[-2000:]
        time.sleep(0.05)
