"""Checking every part of an installation; `api` and `servers` hold the checks of those parts."""

import os
import shutil
import stat
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from db.core.settings import Settings
from db.core.version import version
from scripts.cli.doctor.api import ApiCheck
from scripts.cli.doctor.findings import Examined, Finding, broken, fine, unknown, warning
from scripts.cli.doctor.servers import beat, database, queue, worker
from scripts.local.launcher.home import read_dev_env
from scripts.local.running import embedded_urls

_LITTLE_SPACE_MB = 1000
_NO_SPACE_MB = 150
_LEAST_PYTHON = (3, 11)


def examine(what: Examined) -> Iterator[Finding]:
    """Check part by part, one finding after the other. Nothing is changed by it."""
    yield fine("Leadger", f"version {version()}")
    yield _python()
    yield from _home(what.home)
    what = _with_embedded(what)
    settings = _settings(what)
    if isinstance(settings, Finding):
        yield settings
        what = replace(what, database_url=None, redis_url=None)
    with ApiCheck(what) as api:
        yield from api.findings()
        yield from _servers(what, settings if isinstance(settings, Settings) else None, api)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] >= _LEAST_PYTHON:
        return fine("Python", version)
    return broken("Python", f"{version} is too old", "install Python 3.11 or newer and delete .venv")


def _home(path: Path) -> Iterator[Finding]:
    if not path.is_dir():
        yield unknown("Home", f"there is no folder {path}", "`scripts/run` makes it; LEADGER_HOME names another one")
        return
    free_mb = shutil.disk_usage(path).free // 1_000_000
    detail, fix = f"{path}, {free_mb:,} MB free", "free some space, or move the folder and name it with LEADGER_HOME"
    if free_mb < _NO_SPACE_MB:
        yield broken("Home", detail, fix)
    elif free_mb < _LITTLE_SPACE_MB:
        yield warning("Home", detail, fix)
    elif not os.access(path, os.W_OK):
        yield warning("Home", f"you may not write to {path}", "run as the user who started Leadger")
    else:
        yield fine("Home", detail)
    dev_env = path / "dev.env"
    if dev_env.exists() and stat.S_IMODE(dev_env.stat().st_mode) & 0o077:
        yield warning("Development key", f"others may read {dev_env}", f"chmod 600 {dev_env}")


def _with_embedded(what: Examined) -> Examined:
    """Name the embedded servers, too, if the API that is examined is the one of this home."""
    known = read_dev_env(what.home)
    if not known or not what.url or known.url.rstrip("/") != what.url.rstrip("/"):
        return what
    database_url, redis_url = embedded_urls(what.home)
    return replace(what, database_url=what.database_url or database_url, redis_url=what.redis_url or redis_url)


def _settings(what: Examined) -> Settings | Finding:
    try:
        return Settings.model_validate(
            {
                "database_url": what.database_url or "postgresql://unknown",
                "redis_url": what.redis_url or "redis://unknown",
            }
        )
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        return broken("Settings", reasons.replace("Value error, ", ""), "correct this variable of the environment")


def _servers(what: Examined, settings: Settings | None, api: ApiCheck) -> Iterator[Finding]:
    if what.database_url and settings:
        yield from database(settings)
    else:
        yield unknown("Database", "only what the API says of it is known", "set DATABASE_URL to look at it itself")
    if what.redis_url and settings:
        found = queue(settings)
        yield found
        if found.usable:
            yield worker(settings)
            yield beat(settings)
            return
    else:
        yield unknown("Redis", "only what the API says of it is known", "set REDIS_URL to look at it itself")
    yield api.worker()
    yield unknown("Beat", "whether beat is there can only be seen in Redis", "set REDIS_URL to look at it")
