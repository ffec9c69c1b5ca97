"""Real servers from wheels for a machine that has none: PostgreSQL and a Redis-compatible one.

For the test suite and other short uses they are context managers; `leadger up` runs the same commands under
its supervisor.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.errors import CannotStart
from scripts.local.embedded.postgres import prepare_postgres
from scripts.local.embedded.valkey import prepare_valkey
from scripts.local.launcher.logs import reason
from scripts.local.processes.process import Command, Process

_START_S = 60.0


@contextmanager
def postgres(data_dir: Path, *, durable: bool = True) -> Iterator[str]:
    """A PostgreSQL with its data in `data_dir`, stopped at the end; yields its URL.

    Its user is a superuser, so it may create databases. `durable` false is for tests: fsync off.
    """
    server = prepare_postgres(data_dir, durable=durable)
    server.clear_leftovers()
    with _running("PostgreSQL", server.command, server.is_ready, _log(data_dir)):
        yield server.url


@contextmanager
def valkey(data_dir: Path, *, durable: bool = True) -> Iterator[str]:
    """A Redis-compatible server with its data in `data_dir`, stopped at the end; yields its URL."""
    server = prepare_valkey(data_dir, durable=durable)
    with _running("Valkey", server.command, server.is_ready, _log(data_dir)):
        yield server.url


def _log(data_dir: Path) -> Path:
    return data_dir.with_name(data_dir.name + ".log")


@contextmanager
def _running(name: str, command: Command, is_ready: Callable[[], bool], log: Path) -> Iterator[None]:
    with log.open("ab") as output:
        process = Process(command, output)
    try:
        deadline = time.monotonic() + _START_S
        while not is_ready():
            if not process.running or time.monotonic() > deadline:
                last_lines = log.read_text(errors="replace").splitlines()[-30:]
                raise CannotStart(f"The embedded {name} did not start: {reason(last_lines)}")
            time.sleep(0.01)
        yield
    finally:
        process.stop()
        process.wait()


__all__ = ["postgres", "valkey"]
