"""A real Leadger to do harm to: Postgres with fsync, Valkey, API, worker and beat, each started again when it dies."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import redis
from rich.console import Console

from db.access.api_keys import SCOPES
from db.core.migrate import upgrade
from scripts.dev.chaos.load import Stuck
from scripts.dev.chaos.proxy import CommitCutter, cutting_proxy
from scripts.dev.chaos.trees import PART
from scripts.local.embedded.ports import free_port, require_free
from scripts.local.embedded.postgres import prepare_postgres
from scripts.local.embedded.valkey import prepare_valkey
from scripts.local.first_key import first_key
from scripts.local.launcher import commands
from scripts.local.launcher.child import Child
from scripts.local.launcher.home import Home
from scripts.local.launcher.logs import ProcessLogs
from scripts.local.processes.process import Command

_START_S = 90.0
PARTS = ("worker", "background", "api", "beat")


@dataclass
class Place:
    """Where a running Leadger is and what it stands on; the database's URL leads to it directly."""

    url: str
    key: str
    database_url: str
    redis_url: str
    home: Home
    sweep_interval_s: float = 2.0


@dataclass
class Stack(Place):
    """A Leadger whose parts can be stopped, started and doubled."""

    cutter: CommitCutter = field(default_factory=CommitCutter)
    _commands: Mapping[str, Command] = field(default_factory=dict)
    _before: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    _children: dict[str, Child] = field(default_factory=dict)
    _logs: ProcessLogs | None = None

    def start(self, part: str) -> None:
        """Start a part and keep it running: "worker", "background", "api", "beat" or "second beat"."""
        assert self._logs is not None
        command = self._commands[part]
        marked = replace(command, env={**command.env, PART: part})
        self._children[part] = Child(part, marked, self._before.get(part, _nothing), self._logs, _give_up)

    def stop(self, part: str) -> None:
        """Stop a part in order; it stays away until it is started."""
        self._children.pop(part).stop()

    def stop_all(self) -> None:
        """Stop everything, the last started first."""
        for part in reversed(list(self._children)):
            self.stop(part)

    @contextmanager
    def redis(self) -> Iterator["redis.Redis"]:
        """A connection to Valkey."""
        with redis.Redis.from_url(self.redis_url, socket_connect_timeout=5, socket_timeout=5) as client:
            yield client

    def empty_redis(self) -> None:
        """Lose every message."""
        with self.redis() as client:
            client.flushall()


@contextmanager
def running_stack(
    home: Path, *, app: str = "worker.app", proxied: bool = False, parts: tuple[str, ...] = PARTS
) -> Iterator[Stack]:
    """Start everything in a new home; it ends with the block, and with this process, however it ends.

    `app` is the module with the Celery application. `proxied` puts the commit cutter between Leadger and Postgres.
    """
    home.mkdir(parents=True, exist_ok=True)
    place = Home(home.resolve())
    place.logs.mkdir(exist_ok=True)
    postgres, valkey = prepare_postgres(place.postgres), prepare_valkey(place.valkey)
    port = free_port()
    with ExitStack() as ends:
        logs = ProcessLogs(place.logs, Console(quiet=True))
        ends.callback(logs.close)
        stack = Stack(f"http://127.0.0.1:{port}", "", postgres.url, valkey.url, place)
        stack._logs = logs
        stack._commands = {"postgres": postgres.command, "valkey": valkey.command}
        stack._before = {"postgres": postgres.clear_leftovers, "api": lambda: require_free(port)}
        ends.callback(stack.stop_all)
        stack.start("postgres")
        _wait_until(postgres.is_ready, "PostgreSQL")
        stack.start("valkey")
        _wait_until(valkey.is_ready, "Valkey")
        upgrade(postgres.url)
        stack.key = first_key(postgres.url, "chaos", SCOPES) or ""
        database_url = postgres.url
        if proxied:
            stack.cutter = ends.enter_context(cutting_proxy(postgres.url))
            database_url = stack.cutter.url
            ends.callback(stack.stop_all)  # before the proxy ends
        env = {
            "DATABASE_URL": database_url,
            "REDIS_URL": valkey.url,
            "LEADGER_HOME": str(place.path),
            "LOG_LEVEL": "WARNING",
            "LEADGER_SWEEP_INTERVAL_S": str(stack.sweep_interval_s),
        }
        stack._commands |= {
            "worker": _with_app(commands.worker(env), app),
            "background": _with_app(commands.background(env), app),
            "api": commands.api(port, env),
            "beat": _with_app(commands.beat(place, env), app),
            "second beat": _with_app(commands.beat(_second(place), env), app),
        }
        for part in parts:
            stack.start(part)
        _wait_until(lambda: is_ready(stack.url), "the API")
        yield stack


def is_ready(url: str) -> bool:
    """Whether leads can be accepted."""
    try:
        return httpx.get(f"{url}/ready", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _with_app(command: Command, app: str) -> Command:
    return replace(command, argv=tuple(app if word == "worker.app" else word for word in command.argv))


def _second(home: Home) -> Home:
    other = home.path / "second"
    other.mkdir(exist_ok=True)
    return Home(other)


def _wait_until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _START_S
    while not is_so():
        if time.monotonic() > deadline:
            raise Stuck(f"{what} did not become ready within {_START_S:.0f} s")
        time.sleep(0.05)


def _nothing() -> None:
    """Nothing is to be done before the start."""


def _give_up(failure: str) -> None:
    """A part that cannot be started shows as leads that are never decided; its log says why."""
