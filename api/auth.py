"""API keys: who is calling, and whether the key's scopes allow it."""

import time
from collections.abc import Awaitable, Callable

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncEngine

from api.problems import Problem
from db import api_keys
from db.api_keys import ApiKey
from db.engine import transaction

_REMEMBERED_S = 2.0
_MOST_REMEMBERED = 10_000


class KeyRing:
    """Looks keys up and remembers them for two seconds, which is how long a revoked key may live on elsewhere."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._known: dict[str, tuple[float, ApiKey | None]] = {}

    async def find(self, secret: str) -> ApiKey | None:
        """The key that is valid now; None for every other text."""
        known = self._known.get(secret)
        if known and known[0] > time.monotonic():
            return known[1]
        async with transaction(self._engine) as connection:
            key = await api_keys.find(connection, secret)
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[secret] = (time.monotonic() + _REMEMBERED_S, key)
        return key

    def forget(self) -> None:
        """Look every key up anew; called when keys change."""
        self._known.clear()


def require(scope: str) -> Callable[[Request], Awaitable[ApiKey]]:
    """A dependency that lets only keys with the scope pass, within their rate."""

    async def dependency(request: Request) -> ApiKey:
        return await authorize(request, scope)

    return dependency


async def authorize(request: Request, scope: str) -> ApiKey:
    """The calling key; Problem 401 without a valid one, 403 without the scope, 429 over its rate."""
    state = request.app.state.leadger
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    key = await state.keys.find(secret.strip()) if kind.lower() == "bearer" and secret.strip() else None
    if key is None:
        raise Problem(
            401,
            'A valid API key is needed: send "Authorization: Bearer <key>". '
            "Make one with `leadger keys create`; `scripts/run` prints a development key.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if scope not in key.scopes and "admin" not in key.scopes:
        raise Problem(403, f"This key has the scopes {', '.join(key.scopes)}; {scope!r} is needed here.")
    state.limiter.check(key.id)
    return key
