"""Where a backup lies: a folder of this machine or, as s3://bucket/…, one in S3."""

import gzip
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import asyncpg
import fsspec
import msgspec
from botocore.exceptions import BotoCoreError
from sqlalchemy.exc import SQLAlchemyError

from scripts.errors import CannotStart
from scripts.operations.backup.manifest import FORMAT, NAME, Manifest

_BLOCK_BYTES = 1024 * 1024
_QUICK = 1  # the level of gzip that keeps up with the database
_UNREADABLE = (OSError, EOFError, zlib.error)


class Place:
    """One backup."""

    def __init__(self, where: str) -> None:
        self.where = where.rstrip("/")
        try:
            self._files, path = fsspec.core.url_to_fs(self.where)
        except (OSError, ValueError, ImportError) as error:
            raise CannotStart(f"{self.where} is no place for a backup: {error}.") from None
        self._path: str = path.rstrip("/")

    def make(self) -> None:
        """Make the folder; raises CannotStart if it is there."""
        if self._files.exists(self._path):
            raise CannotStart(f"{self.where} is there already: try again in a second.")
        for name in ("tables", "files"):
            self._files.makedirs(f"{self._path}/{name}", exist_ok=True)

    @contextmanager
    def new_table(self, name: str) -> Iterator["Rows"]:
        """A table to be written."""
        with self._open(f"tables/{name}.gz", "wb") as raw, gzip.open(raw, "wb", compresslevel=_QUICK) as packed:
            yield Rows(packed)

    async def rows(self, name: str) -> AsyncIterator[bytes]:
        """The rows of a table, piece by piece."""
        with self._open(f"tables/{name}.gz", "rb") as raw, gzip.open(raw, "rb") as packed:
            while piece := packed.read(_BLOCK_BYTES):
                yield piece

    def add_file(self, name: str, blocks: Iterable[bytes]) -> None:
        """Write a report file."""
        with self._open(f"files/{name}", "wb") as target:
            for block in blocks:
                target.write(block)

    def file(self, name: str) -> Iterator[bytes]:
        """A report file, block by block."""
        with self._open(f"files/{name}", "rb") as source:
            while block := source.read(_BLOCK_BYTES):
                yield block

    async def damaged(self, manifest: Manifest) -> str | None:
        """The first table or file that is not as the manifest says."""
        for name, table in manifest.tables.items():
            digest = sha256()
            try:
                async for piece in self.rows(name):
                    digest.update(piece)
            except _UNREADABLE:
                return f"tables/{name}.gz"
            if digest.hexdigest() != table.sha256:
                return f"tables/{name}.gz"
        for name in {entry.sha256 for entry in [*manifest.files, *manifest.outbox]}:
            try:
                if checksum(self.file(name)) != name:
                    return f"files/{name}"
            except _UNREADABLE:
                return f"files/{name}"
        return None

    def write(self, manifest: Manifest) -> None:
        """Write the manifest: from now on this is a backup."""
        with self._open(NAME, "wb") as target:
            target.write(msgspec.json.format(msgspec.json.encode(manifest), indent=1))

    def read(self) -> Manifest:
        """The manifest; raises CannotStart if this is no backup, or one that this release does not read."""
        try:
            with self._open(NAME, "rb") as source:
                manifest = msgspec.json.decode(source.read(), type=Manifest)
        except FileNotFoundError:
            raise CannotStart(f"{self.where} is no backup: it has no {NAME}, which is written last.") from None
        except msgspec.MsgspecError as error:
            raise CannotStart(f"The {NAME} of {self.where} cannot be read: {error}.") from None
        if manifest.format != FORMAT:
            raise CannotStart(f"{self.where} has format {manifest.format}, and this release reads format {FORMAT}.")
        return manifest

    def _open(self, name: str, mode: str) -> Any:
        return self._files.open(f"{self._path}/{name}", mode)


class Rows:
    """Rows on their way into a file, with their checksum."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._digest = sha256()

    async def write(self, piece: bytes) -> None:
        """Take the next piece."""
        self._digest.update(piece)
        self._file.write(piece)

    @property
    def sha256(self) -> str:
        """The checksum of all pieces so far."""
        return self._digest.hexdigest()


def checksum(blocks: Iterable[bytes]) -> str:
    """The SHA-256 of a file."""
    digest = sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


@contextmanager
def backup_errors_as_one_message(where: str) -> Iterator[None]:
    """Turn the errors of a database at work, or of the place of a backup, into one message, CannotStart."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, SQLAlchemyError) as error:
        reason = str(error).partition("\n")[0]
        raise CannotStart(f"The database broke off: {reason.rstrip('.')}.") from None
    except (*_UNREADABLE, BotoCoreError) as error:
        raise CannotStart(f"{where} cannot be used: {str(error).rstrip('.')}.") from None
