"""A server of the oldest PostgreSQL that Leadger supports and this machine has; the embedded one is the newest."""

import os
import re
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.dev.bench.servers import running
from scripts.local.embedded.ports import free_port
from scripts.local.embedded.postgres import Postgres
from scripts.local.embedded.unprivileged import unprivileged
from scripts.local.processes.process import Command

SUPPORTED = range(15, 18)
"""The major versions that are older than the embedded server."""

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "timezone": "UTC",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


def oldest_programs() -> Path | None:
    """The folder with `initdb` and `postgres`; None if this machine has none that is older and supported."""
    folders = [Path(name) for name in os.get_exec_path()]
    folders += [Path(f"/usr/lib/postgresql/{version}/bin") for version in SUPPORTED]
    found = [(version, folder) for folder in folders if (version := _version(folder)) in SUPPORTED]
    return min(found)[1] if found else None


def _version(programs: Path) -> int:
    if not all(os.access(programs / name, os.X_OK) for name in ("initdb", "postgres")):
        return 0
    told = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"postgres \(PostgreSQL\) (\d+)", told)
    return int(found[1]) if found else 0


@contextmanager
def running_server(programs: Path, data_dir: Path) -> Iterator[str]:
    """Start it on new data, and stop it at the end; yields the URL of its first database."""
    prefix = unprivileged(programs / "postgres", data_dir)
    password = secrets.token_urlsafe(24)
    subprocess.run(
        (
            *(*prefix, str(programs / "initdb"), "-D", str(data_dir), "-U", "leadger", "--pwfile=/dev/stdin"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"),
        ),
        input=password,
        capture_output=True,
        text=True,
        check=True,
    )
    port = free_port()
    options = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
    command = Command(
        (*prefix, str(programs / "postgres"), "-D", str(data_dir), "-p", str(port), *options),
        stop_signal=signal.SIGINT,
    )
    url = f"postgresql://leadger:{password}@127.0.0.1:{port}/postgres"
    with running(command, Postgres(data_dir, port, url, command).is_ready, data_dir.with_suffix(".log")):
        yield url
