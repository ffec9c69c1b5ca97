"""Which keys or sessions are valid, asked for all at once: a new one gets in among any number of unknown ones."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction

_PAUSE_S = 1.0

ReadHashes = Callable[[asyncpg.Connection], Awaitable[frozenset[bytes]]]


class ValidSecrets:
    """The hashes of what is valid, read once a second at most; what is younger is found a second later."""

    def __init__(self, engine: AsyncEngine, read: ReadHashes) -> None:
        self._engine = engine
        self._read = read
        self._hashes: frozenset[bytes] = frozenset()
        self._read_again_at = 0.0
        self._lock = asyncio.Lock()

    async def has(self, secret_hash: bytes) -> bool:
        """Whether a secret was valid when they were read last."""
        async with self._lock:
            if time.monotonic() >= self._read_again_at:
                async with transaction(self._engine) as connection:
                    self._hashes = await self._read(connection)
                self._read_again_at = time.monotonic() + _PAUSE_S
        return secret_hash in self._hashes
