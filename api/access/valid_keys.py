"""Which keys are valid, asked for all of them at once: a new key gets in among any number that nobody knows."""

import asyncio
import time

from sqlalchemy.ext.asyncio import AsyncEngine

from db.access import api_keys
from db.core.engine import transaction

_PAUSE_S = 1.0


class ValidKeys:
    """The hashes of the valid keys, read once a second at most; a key that is younger is found a second later."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._hashes: frozenset[bytes] = frozenset()
        self._read_again_at = 0.0
        self._lock = asyncio.Lock()

    async def has(self, key_hash: bytes) -> bool:
        """Whether a key was valid when they were read last."""
        async with self._lock:
            if time.monotonic() >= self._read_again_at:
                async with transaction(self._engine) as connection:
                    self._hashes = await api_keys.valid_hashes(connection)
                self._read_again_at = time.monotonic() + _PAUSE_S
        return key_hash in self._hashes
