"""Turns: the large requests of one API key wait for each other, so that those of other keys need not.

Reading ten thousand leads takes a process a good part of a second. If a key sends twenty such requests at once and all
are begun, whoever comes next waits for all twenty; if they take turns, for one.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

LARGE_BYTES = 64 * 1024
_TOGETHER_BYTES = 2 * 1024 * 1024
"""What one key may have under way, or else one larger request: enough to read the next while one is committed."""


class _Line:
    """The requests of one key, first come, first served."""

    def __init__(self) -> None:
        self.requests = 0
        self._under_way = 0
        self._head = asyncio.Lock()
        self._freed = asyncio.Event()

    async def enter(self, size: int) -> None:
        async with self._head:
            while self._under_way and self._under_way + size > _TOGETHER_BYTES:
                self._freed.clear()
                await self._freed.wait()
            self._under_way += size

    def leave(self, size: int) -> None:
        self._under_way -= size
        self._freed.set()


class ConcurrencyLimit:
    """Lets large requests through, key by key."""

    def __init__(self) -> None:
        self._lines: dict[UUID, _Line] = {}

    @asynccontextmanager
    async def limit(self, key_id: UUID, size: int) -> AsyncIterator[None]:
        """Wait for the turn of a request of so many bytes, and keep it for the block."""
        line = self._lines.setdefault(key_id, _Line())
        line.requests += 1
        try:
            await line.enter(size)
            try:
                yield
            finally:
                line.leave(size)
        finally:
            line.requests -= 1
            if not line.requests:
                del self._lines[key_id]
