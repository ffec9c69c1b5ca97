"""Where the embedded servers of a home are while they run, read from their own files."""

import re
from pathlib import Path

from scripts.local.launcher.home import Home


def embedded_urls(path: Path) -> tuple[str | None, str | None]:
    """The URLs of the embedded PostgreSQL and Valkey that were started last in a home; None for those it has not."""
    home = Home(path)
    return _postgres_url(home.postgres), _valkey_url(home.valkey)


def _postgres_url(folder: Path) -> str | None:
    try:
        port = (folder / "postmaster.pid").read_text().splitlines()[3]
        password = (folder / "leadger.password").read_text()
    except (OSError, IndexError):
        return None
    return f"postgresql://leadger:{password}@127.0.0.1:{port}/leadger"


def _valkey_url(folder: Path) -> str | None:
    try:
        config = (folder / "valkey.conf").read_text()
    except OSError:
        return None
    found = re.search(r"^port (\d+)\nrequirepass (\S+)$", config, re.MULTILINE)
    return f"redis://:{found[2]}@127.0.0.1:{found[1]}/0" if found else None
