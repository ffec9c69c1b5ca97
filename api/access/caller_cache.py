"""The callers whose keys or sessions a process has just looked up."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.permissions import Caller
from api.access.valid_secrets import ValidSecrets
from api.problems import Problem
from api.traffic.unknown_keys import UnknownKeys
from db.access import api_keys
from db.core.engine import transaction

TIME_TO_LIVE_S = 2.0
_AHEAD_S = 1.0
"""So long before its end a secret that is in use is looked up again, so that no request waits for that."""
_MOST_KEYS = 10_000

Find = Callable[[asyncpg.Connection, str], Awaitable[Caller | None]]
"""Finds the caller whose secret it is, if it is valid now."""


class CallerCache:
    """Looks secrets up and remembers them for two seconds: so long may another process accept one after its end."""

    def __init__(self, engine: AsyncEngine, unknown: UnknownKeys, find: Find, valid: ValidSecrets) -> None:
        self._engine = engine
        self._limit = unknown
        self._find = find
        self._valid = valid
        self._callers: dict[bytes, tuple[float, Caller]] = {}
        self._unknown: dict[bytes, float] = {}
        """Apart from the others, so that however many unknown keys come, no valid one is forgotten for them."""
        self._look_ups: dict[bytes, asyncio.Task[Caller | None]] = {}

    async def find(self, secret: str, address: str) -> Caller | None:
        """The caller whose secret this is; None if the text is no key or session that is valid now.

        Problem 429 if the address has sent too many keys that nobody knows and this one was not valid a moment ago.
        """
        key_hash = api_keys.hash_of(secret)
        cached = self._callers.get(key_hash)
        left_s = cached[0] - time.monotonic() if cached else 0.0
        if cached and left_s > 0:
            if left_s < _AHEAD_S and key_hash not in self._look_ups:
                self._begin_look_up(secret, key_hash, None)
            return cached[1]
        if self._unknown.get(key_hash, 0.0) > time.monotonic():
            return None
        spent_by = None
        if not cached and key_hash not in self._look_ups:
            try:
                self._limit.spend(address)
                spent_by = address
            except Problem:
                if not await self._valid.has(key_hash):
                    raise
        look_up = self._look_ups.get(key_hash) or self._begin_look_up(secret, key_hash, spent_by)
        return await asyncio.shield(look_up)

    def _begin_look_up(self, secret: str, key_hash: bytes, spent_by: str | None) -> "asyncio.Task[Caller | None]":
        look_up = asyncio.create_task(self._look_up(secret, key_hash, spent_by))
        self._look_ups[key_hash] = look_up
        look_up.add_done_callback(lambda done: self._forget_look_up(key_hash, done))
        return look_up

    async def _look_up(self, secret: str, key_hash: bytes, spent_by: str | None) -> Caller | None:
        """Ask the database, once for all requests that come with a key meanwhile."""
        try:
            async with transaction(self._engine) as connection:
                caller = await self._find(connection, secret)
        except BaseException:
            if spent_by is not None:  # nobody knows whether the key is valid
                self._limit.give_back(spent_by)
            raise
        until = time.monotonic() + TIME_TO_LIVE_S
        if caller is None:
            self._callers.pop(key_hash, None)
            _make_room(self._unknown)
            self._unknown[key_hash] = until
            return None
        if spent_by is not None:
            self._limit.give_back(spent_by)
        _make_room(self._callers)
        self._callers[key_hash] = (until, caller)
        return caller

    def _forget_look_up(self, key_hash: bytes, look_up: "asyncio.Task[Caller | None]") -> None:
        self._look_ups.pop(key_hash, None)
        if not look_up.cancelled():
            look_up.exception()  # those who wait for it get it; with none of them left nobody else would ask

    def clear(self) -> None:
        """Forget everybody; called when keys or sessions change."""
        self._callers.clear()
        self._unknown.clear()


def _make_room(keys: dict[bytes, Any]) -> None:
    if len(keys) >= _MOST_KEYS:
        keys.clear()
