"""Databases of a server that tests make by hand."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit, urlunsplit

import asyncpg

_MEMORY = Path("/dev/shm")
_LEAST_FREE = 4 * 1024**3


@contextmanager
def server_folder(otherwise: Path) -> Iterator[Path]:
    """Where a server of tests lies: in memory where there is room.

    A database has 650 files, and ext4 looks at every file that was removed within a minute before it makes one: a new
    database took 400 ms there.
    """
    has_room = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _LEAST_FREE
    with TemporaryDirectory(dir=_MEMORY if has_room else otherwise) as folder:
        yield Path(folder)


def url_of_database(server_url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


def copy_statement(name: str, template: str) -> str:
    """SQL for a copy of a database; by files, which is less work than by the log where nothing is synced to a disk."""
    return f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"


def execute(url: str, statement: str) -> None:
    """Execute SQL on a connection of its own."""

    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())
