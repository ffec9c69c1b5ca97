"""Which database is meant: that of DATABASE_URL, or the embedded one of a home, which is started if it does not run.

For a restore it may also be named, with its administrator, by the variables of `leadger migrate --application-login`.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import asyncpg
from pydantic import ValidationError

from db.core.settings import Settings
from scripts.errors import CannotStart
from scripts.local.embedded import postgres
from scripts.local.launcher.home import hold_home
from scripts.local.running import embedded_urls
from scripts.operations.database import database_errors_as_one_message
from scripts.operations.migration.settings import administrator_url

_CONNECT_TIMEOUT_S = 10.0
_PATIENT = {"timezone": "UTC", "datestyle": "ISO", "statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}


@contextmanager
def read_from(home: Path) -> Iterator[Settings]:
    """The database to back up, running or not."""
    with ExitStack() as stack:
        url = os.environ.get("DATABASE_URL")
        if not url:
            if not (home / "postgres").exists():
                raise CannotStart(f"There is no database in {home}: name one with DATABASE_URL, or a LEADGER_HOME.")
            try:
                held = stack.enter_context(hold_home(home, "a backup"))
                url = stack.enter_context(postgres(held.postgres))
            except CannotStart:
                url = embedded_urls(home)[0]
                if url is None:
                    raise
        yield _settings(url, home)


@contextmanager
def write_to(home: Path) -> Iterator[Settings]:
    """The database to restore; an embedded one must not be running, because Leadger works on it."""
    with ExitStack() as stack:
        url = os.environ.get("DATABASE_URL") or administrator_url()
        if not url:
            held = stack.enter_context(hold_home(home, "a restore"))
            url = stack.enter_context(postgres(held.postgres))
        yield _settings(url, home)


def named_by() -> str:
    """The variable that names the database, for whoever has to correct it."""
    return "LEADGER_DATABASE_HOST" if not os.environ.get("DATABASE_URL") and administrator_url() else "DATABASE_URL"


async def connect(settings: Settings) -> asyncpg.Connection:
    """A connection that waits for as long as it takes to read or write everything."""
    with database_errors_as_one_message(named_by()):
        return await asyncpg.connect(
            settings.database_url,
            timeout=_CONNECT_TIMEOUT_S,
            server_settings={"application_name": "leadger-backup", **_PATIENT},
        )


def _settings(database_url: str, home: Path) -> Settings:
    try:
        return Settings.model_validate({"database_url": database_url, "redis_url": "redis://unused", "home": home})
    except ValidationError as error:
        raise CannotStart(f"{error.errors()[0]['msg'].removeprefix('Value error, ')}.") from None
