"""Authentication: who is calling."""

from starlette.types import ASGIApp, Receive, Scope, Send

from api.access.permissions import Caller
from api.body import drop_body
from api.headers import header
from api.problems import Problem
from api.state import State

_PUBLIC_PATHS = {"/health", "/ready", "/docs", "/openapi.json"}


class AuthenticationMiddleware:
    """Answers 401 to every request without a valid key, whatever its path, except for the few public paths.

    It runs before the routes, so that a new route cannot forget it, and before a body is read, so that nobody without a
    key can make the process read one. What the caller may do is checked by each route, see `api.access.permissions`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; Problem 401 without a valid key, 429 over the rate of the key."""
        if scope["type"] != "http" or scope["path"] in _PUBLIC_PATHS or scope["path"].startswith("/docs/"):
            await self._app(scope, receive, send)
            return
        state: State = scope["app"].state.leadger
        caller = scope["caller"] = await _authenticate(scope, state)
        try:
            state.limiter.check(caller.id)
        except Problem:
            await drop_body(scope, receive)
            raise
        await self._app(scope, receive, send)


async def _authenticate(scope: Scope, state: State) -> Caller:
    scheme, _, secret = header(scope, b"authorization").partition(" ")
    secret = secret.strip()
    caller = None
    if scheme.lower() == "bearer" and secret:
        caller = await state.keys.find(secret, scope["client"][0] if scope.get("client") else "")
    if caller is None:
        raise Problem(
            401,
            'A valid API key is needed: send "Authorization: Bearer <key>". '
            "Make one with `leadger keys create`; `scripts/run` prints a development key.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return caller
