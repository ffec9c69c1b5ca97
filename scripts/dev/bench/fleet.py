"""Several API, worker and beat processes against one Postgres and Redis, each started as on a machine of its own."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from scripts.dev.bench.processes import (
    BESIDE_CHILDREN,
    CHILD_START_S,
    Leadger,
    answers,
    environment,
    log_file,
    with_option,
)
from scripts.dev.bench.servers import Database, Servers, running
from scripts.dev.bench.usage import of_session
from scripts.errors import CannotStart
from scripts.local.embedded.ports import free_port
from scripts.local.launcher import commands
from scripts.local.launcher.home import Home
from scripts.local.processes.process import Command, Process

_START_S = 60.0


@dataclass(frozen=True)
class Fleet:
    """What runs. `leadger` is the first API with its database."""

    leadger: Leadger
    more_ports: Sequence[int]
    workers: Sequence[Process]
    beats: Sequence[Process]


@contextmanager
def fleet(servers: Servers, database: Database, *, apis: int, workers: int, beats: int) -> Iterator[Fleet]:
    """Start so many of each; a worker has one child, so that there are as many processes as it says."""
    servers.flush_redis()
    env = environment(servers, database)
    with ExitStack() as stack:
        started = [stack.enter_context(_worker(servers, env, number)) for number in range(workers)]
        stack.enter_context(running(commands.background(env), lambda: True, log_file(servers, "background")))
        clocks = [stack.enter_context(_beat(servers, env, number)) for number in range(beats)]
        ports = [stack.enter_context(_api(servers, env, number)) for number in range(apis)]
        _wait_for_children(started)
        yield Fleet(Leadger(ports[0], database, servers.home), ports[1:], started, clocks)


@contextmanager
def _api(servers: Servers, env: dict[str, str], number: int) -> Iterator[int]:
    port = free_port()
    with running(commands.api(port, env), partial(answers, port, "/ready"), log_file(servers, f"api-{number}")):
        yield port


@contextmanager
def _worker(servers: Servers, env: dict[str, str], number: int) -> Iterator[Process]:
    command = with_option(commands.worker(env), "--concurrency", "1")
    named = _more(command, "--hostname", f"worker-{number}@%h")  # on machines of their own the host's name would do
    with running(named, lambda: True, log_file(servers, f"worker-{number}")) as process:
        yield process


@contextmanager
def _beat(servers: Servers, env: dict[str, str], number: int) -> Iterator[Process]:
    home = Home(servers.home / f"beat-{number}")
    home.path.mkdir(exist_ok=True)
    with running(commands.beat(home, env), lambda: True, log_file(servers, f"beat-{number}")) as process:
        yield process


def _wait_for_children(workers: Sequence[Process]) -> None:
    deadline = time.monotonic() + _START_S
    while any(len(of_session(worker.pid)) <= BESIDE_CHILDREN for worker in workers):
        if time.monotonic() > deadline or not all(worker.running for worker in workers):
            raise CannotStart("a worker did not start")
        time.sleep(0.05)
    time.sleep(CHILD_START_S)


def _more(command: Command, *words: str) -> Command:
    return replace(command, argv=(*command.argv, *words))
