"""The API keys that a process has just looked up."""

import time

from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.permissions import Caller, Permission
from db.access import api_keys
from db.access.api_keys import ApiKey
from db.core.actor import Actor, ActorKind
from db.core.engine import transaction

_TIME_TO_LIVE_S = 2.0
_MOST_KEYS = 10_000
_PERMISSIONS = frozenset(Permission)


class KeyCache:
    """Looks keys up and remembers them for two seconds: so long may another process accept a key after its end."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._callers: dict[bytes, tuple[float, Caller | None]] = {}

    async def find(self, secret: str) -> Caller | None:
        """The caller whose key this is; None if the text is no key that is valid now."""
        key_hash = api_keys.hash_of(secret)
        cached = self._callers.get(key_hash)
        if cached and cached[0] > time.monotonic():
            return cached[1]
        async with transaction(self._engine) as connection:
            key = await api_keys.find_valid(connection, secret)
        caller = caller_from_key(key) if key else None
        if len(self._callers) >= _MOST_KEYS:
            self._callers.clear()
        self._callers[key_hash] = (time.monotonic() + _TIME_TO_LIVE_S, caller)
        return caller

    def clear(self) -> None:
        """Forget every key; called when keys change."""
        self._callers.clear()


def caller_from_key(key: ApiKey) -> Caller:
    """The caller that an API key stands for. Scopes that only a newer release knows permit nothing here."""
    permissions = tuple(Permission(scope) for scope in key.scopes if scope in _PERMISSIONS)
    return Caller(Actor(ActorKind.KEY, key.id, key.name), permissions, key.partner_id)
