"""Report files in a local folder or in S3: writing and reading one."""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import SpooledTemporaryFile

import fsspec
from botocore.exceptions import BotoCoreError
from fsspec.implementations.local import LocalFileSystem

from db.core.errors import FileUnavailable
from db.core.settings import Settings

_BLOCK_BYTES = 1024 * 1024
IN_MEMORY_BYTES = 8 * 1024 * 1024
"""So much of a file is held in memory while it is made."""
PART = ".part"
"""The end of a file's name while it is written."""


def folder_url(settings: Settings) -> str:
    """Where report files go, as a URL without a slash at its end."""
    if settings.report_files_url:
        return settings.report_files_url.rstrip("/")
    return (Path(settings.home) / "reports").absolute().as_uri()


@contextmanager
def file_errors(url: str) -> Iterator[None]:
    """Raise FileUnavailable for an error of the file system or S3."""
    try:
        yield
    except (OSError, BotoCoreError) as error:
        raise _unavailable(url, error) from error


def _unavailable(url: str, error: Exception) -> FileUnavailable:
    return FileUnavailable(f"The report file {url} cannot be read or written just now: {error}.")


def spool(settings: Settings) -> SpooledTemporaryFile[bytes]:
    """What a report file will hold, in memory or, if it is large, under the home. Raises FileUnavailable.

    The system's folder of temporary files holds 16 MB in a container of ours.
    """
    with file_errors(str(settings.home)):
        settings.home.mkdir(parents=True, exist_ok=True)
        return SpooledTemporaryFile(IN_MEMORY_BYTES, dir=str(settings.home))


def write_file(url: str, blocks: Iterable[bytes]) -> None:
    """Write a file completely or not at all, replacing an existing one. Raises FileUnavailable."""
    with file_errors(url):
        _write_file(url, blocks)


def _write_file(url: str, blocks: Iterable[bytes]) -> None:
    files, path = fsspec.core.url_to_fs(url)
    if not isinstance(files, LocalFileSystem):  # a file in S3 appears when it is complete
        with files.open(path, "wb") as target:
            target.writelines(blocks)
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    # The temporary name is unique, because two workers may write the same file at the same time.
    part = Path(f"{path}.{secrets.token_hex(8)}{PART}")
    try:
        with part.open("wb") as target:
            target.writelines(blocks)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def remove_file(url: str) -> None:
    """Remove a file; one that is gone is fine. Raises FileUnavailable."""
    with file_errors(url):
        files, path = fsspec.core.url_to_fs(url)
        with suppress(FileNotFoundError):
            files.rm_file(path)


def names_in(url: str, pattern: str) -> list[str]:
    """The names of the files below a folder that match a pattern; none if it is not there. Raises FileUnavailable."""
    with file_errors(url):
        files, path = fsspec.core.url_to_fs(url)
        return [found.rpartition("/")[2] for found in files.glob(f"{path}/{pattern}")]


def read_file(url: str) -> Iterator[bytes]:
    """A file, block by block. Raises FileNotFoundError or FileUnavailable before the first block."""
    try:
        source = fsspec.open(url, "rb").open()
    except FileNotFoundError:
        raise
    except (OSError, BotoCoreError) as error:
        raise _unavailable(url, error) from error

    def blocks() -> Iterator[bytes]:
        with source:
            while block := source.read(_BLOCK_BYTES):
                yield block

    return blocks()
