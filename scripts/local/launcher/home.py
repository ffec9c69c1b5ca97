"""LEADGER_HOME: the folder of one running Leadger, with its data, logs and development key."""

import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from scripts.errors import CannotStart
from scripts.local.launcher.private_folder import make_private

_EMAIL = re.compile(r"LEADGER_([A-Z_]+)_EMAIL")
_NEEDED_MB = 150  # a new database, its log of changes and the log files
_MESSAGES = {
    errno.ENOSPC: "The disk that holds {path} is full: free some space or choose another folder with --home.",
    errno.EDQUOT: "Your quota for {path} is used up: free some space or choose another folder with --home.",
    errno.EROFS: "{path} is on a disk that cannot be written to: choose another folder with --home.",
    errno.EACCES: "You may not write to {path}: change its permissions or choose another folder with --home.",
    errno.EPERM: "You may not write to {path}: change its permissions or choose another folder with --home.",
    errno.ENOTDIR: "{path} is not a folder: choose another one with --home.",
    errno.EEXIST: "{path} is not a folder: choose another one with --home.",
}


@dataclass(frozen=True)
class Home:
    """The places in the folder."""

    path: Path

    @property
    def postgres(self) -> Path:
        """The data of PostgreSQL."""
        return self.path / "postgres"

    @property
    def valkey(self) -> Path:
        """The data of Valkey."""
        return self.path / "valkey"

    @property
    def logs(self) -> Path:
        """The rotated log files, one per process."""
        return self.path / "logs"

    @property
    def beat_schedule(self) -> Path:
        """When beat last sent what."""
        return self.path / "beat-schedule"

    @property
    def dev_env(self) -> Path:
        """URL, development key and logins, as shell variables."""
        return self.path / "dev.env"


@dataclass(frozen=True)
class DevEnv:
    """How the command line and people reach a development Leadger.

    `logins` are e-mail and password of those whom Leadger made itself, by role.
    """

    url: str
    api_key: str
    logins: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@contextmanager
def hold_home(path: Path, url: str) -> Iterator[Home]:
    """Make the folder if need be and keep it for this process until the end.

    Raises CannotStart if another Leadger holds it, naming its URL and process id, or if it cannot be used.
    """
    home = Home(path.resolve())
    try:
        home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_private(home.path)
        home.logs.mkdir(exist_ok=True)
        _require_space(home.path)
        lock = os.open(home.path / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise CannotStart(message(error, home.path)) from None
    try:
        _lock(lock, home.path)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{url}, pid {os.getpid()}".encode(), 0)
        yield home
        os.ftruncate(lock, 0)
    finally:
        os.close(lock)


def message(error: OSError, path: Path) -> str:
    """What to say to a person about a failure of the folder or the disk below it."""
    text = _MESSAGES.get(error.errno or 0, "{path} cannot be used: {error}.")
    return text.format(path=error.filename or path, error=error.strerror or error)


def add_logins(home: Home, logins: Mapping[str, tuple[str, str]]) -> None:
    """Keep the logins of people who have just been made in `dev.env`, which is there."""
    known = read_dev_env(home.path)
    assert known is not None
    write_dev_env(home, replace(known, logins={**known.logins, **logins}))


def write_dev_env(home: Home, env: DevEnv) -> None:
    """Write `dev.env`, readable by its owner only; the old one stays until the new one is complete."""
    new = home.dev_env.with_suffix(".new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    values = {"LEADGER_URL": env.url, "LEADGER_API_KEY": env.api_key}
    for role, (email, password) in env.logins.items():
        values |= {f"LEADGER_{role.upper()}_EMAIL": email, f"LEADGER_{role.upper()}_PASSWORD": password}
    new.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    new.replace(home.dev_env)


def read_dev_env(path: Path) -> DevEnv | None:
    """The `dev.env` of a home folder, or None if there is none that is complete."""
    try:
        lines = (path / "dev.env").read_text().splitlines()
    except OSError:
        return None
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    url, api_key = values.get("LEADGER_URL"), values.get("LEADGER_API_KEY")
    if not url or not api_key:
        return None
    logins = {}
    for name, email in values.items():
        if found := _EMAIL.fullmatch(name):
            logins[found[1].lower()] = (email, values.get(f"LEADGER_{found[1]}_PASSWORD", ""))
    return DevEnv(url, api_key, logins)


def _require_space(path: Path) -> None:
    free_mb = shutil.disk_usage(path).free // 1_000_000
    if free_mb < _NEEDED_MB:
        raise CannotStart(
            f"The disk that holds {path} has only {free_mb} MB left, and Leadger needs {_NEEDED_MB} MB: "
            "free some space or choose another folder with --home."
        )


def _lock(lock: int, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        # Empty in the instant between the other one's locking and its writing.
        holder = os.pread(lock, 1000, 0).decode(errors="replace") or "an address not yet known"
        raise CannotStart(f"Leadger is already running at {holder}, with the folder {path}.") from None
    except OSError as error:
        raise CannotStart(message(error, path)) from None
