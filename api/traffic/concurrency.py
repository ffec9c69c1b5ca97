"""Concurrency limit: the large requests of one API key wait for each other, so that those of other keys need not.

Reading ten thousand leads takes a process a good part of a second. If a key sends twenty such requests at once and all
start, the next request of another key waits for all twenty; with the limit it waits for one. Decoded, a body takes
several times its size, so the largest bodies wait for each other even if they are of several keys.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

LARGE_BYTES = 64 * 1024
_MOST_BYTES_OF_KEY = 2 * 1024 * 1024
"""The requests of one key that run together, or else one larger request: enough to read one while another commits."""
_MOST_BYTES_OF_ALL = 18 * 1024 * 1024
"""The same for all keys: one request of the largest size, and one of another key beside it."""


class _Queue:
    """Large requests, first in, first out."""

    def __init__(self, most_bytes: int) -> None:
        self.requests = 0
        self._most_bytes = most_bytes
        self._running_bytes = 0
        self._next = asyncio.Lock()
        self._released = asyncio.Event()

    async def acquire(self, size: int) -> None:
        async with self._next:
            while self._running_bytes and self._running_bytes + size > self._most_bytes:
                self._released.clear()
                await self._released.wait()
            self._running_bytes += size

    def release(self, size: int) -> None:
        self._running_bytes -= size
        self._released.set()


class ConcurrencyLimit:
    """Limits how many bytes of large requests each key has in progress."""

    def __init__(self) -> None:
        self.queues: dict[UUID, _Queue] = {}
        """By key, of those that have large requests waiting or in progress."""
        self._all = _Queue(_MOST_BYTES_OF_ALL)

    @asynccontextmanager
    async def limit(self, key_id: UUID, size: int) -> AsyncIterator[None]:
        """Wait until a request of `size` bytes may start; it is in progress for as long as the block runs."""
        queue = self.queues.setdefault(key_id, _Queue(_MOST_BYTES_OF_KEY))
        queue.requests += 1
        try:
            await queue.acquire(size)
            try:
                await self._all.acquire(size)  # at most two of a key wait here, so every key has its turn
                try:
                    yield
                finally:
                    self._all.release(size)
            finally:
                queue.release(size)
        finally:
            queue.requests -= 1
            if not queue.requests:
                del self.queues[key_id]
