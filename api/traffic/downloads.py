"""Downloads: texts of any length for clients of any speed, without a database connection or memory for each.

A text is made as fast as the database gives it, into a temporary file, and sent from there as fast as its client takes
it. So the snapshot that makes it consistent ends soon, whoever stops reading.
"""

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from uuid import UUID

from fastapi.responses import StreamingResponse
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import Receive, Scope, Send

from api.problems import Problem
from api.side_thread import SideThread
from api.traffic.answers_in_time import send_in_time
from db.core.errors import FileUnavailable

_MOST = 128
_MOST_OF_KEY = 32
_BLOCK_BYTES = 64 * 1024
_RETRY_AFTER_S = 5
BYTES_BETWEEN_LOOKS = 16 * 1024 * 1024
_MOST_KEPT_FREE = 1024**3
_PART_KEPT_FREE = 0.05
"""Of the disk, on which the database may be too: who reads slowly keeps copies of all that is stored on it."""


class Downloads:
    """The downloads of a process: so many at a time, so many of one key, and none that nobody reads."""

    def __init__(self, folder: Path, reading: SideThread, making_at_once: int, timeout_s: float) -> None:
        self._folder, self._reading, self._timeout_s = folder, reading, timeout_s
        self._making = asyncio.Semaphore(making_at_once)
        self._by_key: Counter[UUID] = Counter()

    def start(
        self, key_id: UUID, blocks: Iterator[bytes] | AsyncIterator[bytes], media_type: str, name: str = ""
    ) -> "Download":
        """The response that sends a text, as a file if it has a name; Problem 429 if there are too many downloads.

        FileUnavailable for one that is still to be made if the disk is nearly full.
        """
        if isinstance(blocks, AsyncIterator):
            self._check_disk()
        if self._by_key.total() >= _MOST or self._by_key[key_id] >= _MOST_OF_KEY:
            raise Problem(
                429,
                f"Too many downloads are under way: a key may have {_MOST_OF_KEY} at a time; "
                f"try again in {_RETRY_AFTER_S} s.",
                headers={"Retry-After": str(_RETRY_AFTER_S)},
            )
        headers = {"Content-Disposition": f'attachment; filename="{name}"'} if name else {}
        return Download(self, key_id, blocks, self._timeout_s, media_type, headers)

    @asynccontextmanager
    async def counted(self, key_id: UUID) -> AsyncIterator[None]:
        """Count one download of a key while the block runs."""
        self._by_key[key_id] += 1
        try:
            yield
        finally:
            self._by_key[key_id] -= 1

    async def buffered(self, text: AsyncGenerator[str | bytes, None]) -> AsyncIterator[bytes]:
        """The text as it is made, in the thread for reading; what is not taken yet lies in a temporary file.

        FileUnavailable ends it where the disk is nearly full.
        """
        self._check_disk()
        with TemporaryFile(dir=self._folder, buffering=0) as file:
            more = asyncio.Event()
            tell = partial(asyncio.get_running_loop().call_soon_threadsafe, more.set)

            async def make(_: AsyncEngine) -> None:
                async with self._making, aclosing(text):
                    unlooked = 0
                    async for block in text:
                        unlooked += file.write(block.encode() if isinstance(block, str) else block) or 0
                        tell()
                        if unlooked > BYTES_BETWEEN_LOOKS:
                            self._check_disk()
                            unlooked = 0

            making = asyncio.create_task(self._reading.run(make))
            making.add_done_callback(lambda _: more.set())
            sent = 0
            try:
                while True:
                    more.clear()
                    ended = making.done()
                    while block := os.pread(file.fileno(), _BLOCK_BYTES, sent):
                        sent += len(block)
                        yield block
                    if ended:
                        making.result()
                        return
                    if not making.done():
                        await more.wait()
            finally:
                making.cancel()
                await asyncio.wait([making])

    def _check_disk(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        disk = shutil.disk_usage(self._folder)
        if disk.free < min(_MOST_KEPT_FREE, disk.total * _PART_KEPT_FREE):
            raise FileUnavailable("The disk is nearly full, and what is left of it is kept for the database")


class Download(StreamingResponse):
    """A text that is cut when its client has taken nothing for a while."""

    def __init__(
        self,
        downloads: Downloads,
        key_id: UUID,
        blocks: Iterator[bytes] | AsyncIterator[bytes],
        timeout_s: float,
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(blocks, media_type=media_type, headers=headers)
        self._downloads, self._key_id, self._timeout_s = downloads, key_id, timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; raises ReadingStopped if nobody takes it, so that it does not end as if it were complete."""
        in_time = partial(send_in_time, send, timeout_s=self._timeout_s)
        async with self._downloads.counted(self._key_id):
            await super().__call__(scope, receive, in_time)
