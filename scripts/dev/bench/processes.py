"""The processes of one measurement: Leadger's API, worker and beat, or the plain servers they are compared with."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from scripts.dev.bench.servers import Database, Servers, running
from scripts.dev.bench.usage import of_session
from scripts.errors import CannotStart
from scripts.local.embedded.ports import free_port
from scripts.local.launcher import commands
from scripts.local.launcher.home import Home
from scripts.local.processes.process import Command, Process

_START_S = 60.0
BESIDE_CHILDREN = 2
"""Processes of a worker that decide nothing: the keeper and Celery's main process."""
CHILD_START_S = 1.0
"""A child imports and connects after it was forked."""


@dataclass
class Leadger:
    """A running Leadger."""

    port: int
    database: Database
    home: Path
    processes: dict[str, Process] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where its API is."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, timeout_s: float = 60) -> httpx.Client:
        """An HTTP client with a key for everything."""
        headers = {"Authorization": f"Bearer {self.database.key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout_s, trust_env=False)


@contextmanager
def api(servers: Servers, database: Database) -> Iterator[Leadger]:
    """One API process as `leadger up` starts it, and nothing that decides leads."""
    with _api_starting(servers, database) as leadger:
        _wait_for_api(leadger)
        yield leadger


@contextmanager
def workers(servers: Servers, leadger: Leadger, concurrency: int) -> Iterator[None]:
    """A worker with `concurrency` children, one for background tasks, and beat."""
    with _workers_starting(servers, leadger, concurrency):
        _wait_for_workers(leadger, concurrency)
        yield


@contextmanager
def everything(servers: Servers, database: Database, concurrency: int) -> Iterator[Leadger]:
    """API, workers and beat, started at the same time."""
    with _api_starting(servers, database) as leadger, _workers_starting(servers, leadger, concurrency):
        _wait_for_api(leadger)
        _wait_for_workers(leadger, concurrency)
        yield leadger


@contextmanager
def _api_starting(servers: Servers, database: Database) -> Iterator[Leadger]:
    servers.flush_redis()
    leadger = Leadger(free_port(), database, servers.home)
    command = commands.api(leadger.port, environment(servers, database))
    with running(command, lambda: True, log_file(servers, "api")) as process:
        leadger.processes["api"] = process
        yield leadger


@contextmanager
def _workers_starting(servers: Servers, leadger: Leadger, concurrency: int) -> Iterator[None]:
    env = environment(servers, leadger.database)
    command = with_option(commands.worker(env), "--concurrency", str(concurrency))
    beat = commands.beat(_own_home(servers), env)
    with ExitStack() as stack:
        for name, each in (("worker", command), ("background", commands.background(env)), ("beat", beat)):
            leadger.processes[name] = stack.enter_context(running(each, lambda: True, log_file(servers, name)))
        yield


def _wait_for_api(leadger: Leadger) -> None:
    _wait(leadger, "api", lambda: answers(leadger.port, "/ready"))


def _wait_for_workers(leadger: Leadger, concurrency: int) -> None:
    worker = leadger.processes["worker"]
    _wait(leadger, "worker", lambda: len(of_session(worker.pid)) >= concurrency + BESIDE_CHILDREN)
    time.sleep(CHILD_START_S)


def _wait(leadger: Leadger, name: str, is_ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_S
    while not is_ready():
        if time.monotonic() > deadline or not leadger.processes[name].running:
            log = (leadger.home / f"{name}.log").read_text(errors="replace")
            raise CannotStart(f"{name} did not start:\n{log[-2000:]}")
        time.sleep(0.05)


@contextmanager
def plain_server(servers: Servers, app: str, **env: str) -> Iterator[int]:
    """Another ASGI application under the very same command line as our API; yields its port."""
    port = free_port()
    command = commands.api(port, {"LOG_LEVEL": "WARNING"} | env)
    words = [word for word in command.argv[:-1] if word != "--factory"]
    command = replace(command, argv=(*words, app))
    with running(command, lambda: answers(port, "/health"), log_file(servers, "plain")):
        yield port


def with_option(command: Command, option: str, value: str) -> Command:
    """A command with another value for an option that it has."""
    argv = list(command.argv)
    argv[argv.index(option) + 1] = value
    return replace(command, argv=tuple(argv))


def environment(servers: Servers, database: Database) -> dict[str, str]:
    """The environment of a process of Leadger."""
    return {
        "DATABASE_URL": database.url,
        "REDIS_URL": servers.redis_url,
        "LEADGER_HOME": str(servers.home / "files"),
        "LOG_LEVEL": "WARNING",
    }


def _own_home(servers: Servers) -> Home:
    home = servers.home / "files"
    home.mkdir(exist_ok=True)
    return Home(home)


def log_file(servers: Servers, name: str) -> Path:
    """Where a process writes."""
    return servers.home / f"{name}.log"


def answers(port: int, path: str) -> bool:
    """Whether a server on 127.0.0.1 answers 2xx."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False
