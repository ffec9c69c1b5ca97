"""API keys: who is calling, and whether the key's scopes allow it."""

import time
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import ASGIApp, Receive, Scope, Send

from api.body import drop_body
from api.headers import header
from api.problems import Problem
from db.access import api_keys
from db.access.api_keys import ApiKey
from db.core.engine import transaction

_REMEMBERED_S = 2.0
_MOST_REMEMBERED = 10_000
_FOR_EVERYBODY = {"/health", "/ready", "/docs", "/openapi.json"}


class KeyCache:
    """Looks keys up and remembers them for two seconds, which is how long a revoked key may live on elsewhere."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._known: dict[bytes, tuple[float, ApiKey | None]] = {}

    async def find(self, secret: str) -> ApiKey | None:
        """The key that is valid now; None for every other text."""
        digest = sha256(secret.encode("utf-8", "surrogateescape")).digest()
        known = self._known.get(digest)
        if known and known[0] > time.monotonic():
            return known[1]
        async with transaction(self._engine) as connection:
            key = await api_keys.find(connection, secret)
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[digest] = (time.monotonic() + _REMEMBERED_S, key)
        return key

    def forget(self) -> None:
        """Look every key up anew; called when keys change."""
        self._known.clear()


class AuthenticationMiddleware:
    """Lets nobody in without a valid key, whatever the path, but to the few pages for everybody.

    It stands before the routes, so that no new route can forget it, and before the bodies, so that nobody without a key
    can make the process read one. What the key may do is each route's own question, see `require`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or answer 401 without a valid key and 429 over its rate."""
        if scope["type"] != "http" or scope["path"] in _FOR_EVERYBODY or scope["path"].startswith("/docs/"):
            await self._app(scope, receive, send)
            return
        key = scope["api_key"] = await _caller(scope)
        try:
            scope["app"].state.leadger.limiter.check(key.id)
        except Problem:
            await drop_body(scope, receive)
            raise
        await self._app(scope, receive, send)


async def _caller(scope: Scope) -> ApiKey:
    state: Any = scope["app"].state.leadger  # State itself is made of what this module defines
    kind, _, secret = header(scope, b"authorization").partition(" ")
    key: ApiKey | None = await state.keys.find(secret.strip()) if kind.lower() == "bearer" and secret.strip() else None
    if key is None:
        raise Problem(
            401,
            'A valid API key is needed: send "Authorization: Bearer <key>". '
            "Make one with `leadger keys create`; `scripts/run` prints a development key.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return key


def require(scope: str) -> Callable[[Request], Awaitable[None]]:
    """A dependency that lets only keys with the scope pass; Problem 403 for others."""

    async def dependency(request: Request) -> None:
        check_scope(request, scope)

    return dependency


def check_scope(request: Request, scope: str) -> None:
    """Problem 403 unless the caller's key has the scope."""
    key: ApiKey = request.scope["api_key"]
    if scope not in key.scopes and "admin" not in key.scopes:
        raise Problem(403, f"This key has the scopes {', '.join(key.scopes)}; {scope!r} is needed here.")
