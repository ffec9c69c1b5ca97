"""Authentication: who is calling, with an API key or in a session."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access.cookies import check_csrf, session_cookie
from api.access.permissions import ANYBODY, Caller
from api.body import drop_body
from api.headers import header
from api.problems import Problem
from api.state import State

_PUBLIC_PATHS = {"/health", "/ready", "/docs", "/openapi.json"}
FOR_ANYBODY = {
    ("POST", "/api/users"),
    ("POST", "/api/session"),
    ("POST", "/api/password/forgotten"),
    ("POST", "/api/password/reset"),
    ("POST", "/api/billing-scheduler/github-webhook"),
}
"""Where people begin who cannot sign in yet, and GitHub, which is let in by its signature."""


class AuthenticationMiddleware:
    """Answers 401 to every request without a valid key or session, whatever its path, except for the few public paths.

    It runs before the routes, so that a new route cannot forget it, and before a body is read, so that nobody without a
    key can make the process read a large one. What the caller may do is checked by each route, see
    `api.access.permissions`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; Problem 401 if it is not known who calls, 429 over the rate of the caller."""
        if scope["type"] != "http" or scope["path"] in _PUBLIC_PATHS or scope["path"].startswith("/docs/"):
            await self._app(scope, receive, send)
            return
        if (scope["method"], scope["path"]) in FOR_ANYBODY:
            scope["caller"] = ANYBODY
            await self._app(scope, receive, send)
            return
        state: State = scope["app"].state.leadger
        caller = scope["caller"] = await _authenticate(scope, state)
        try:
            state.limiter.check(caller.id)
        except Problem:
            await drop_body(scope, receive)
            raise
        await self._app(scope, receive, _unstored(send) if caller.session else send)


def _unstored(send: Send) -> Send:
    """Keep the answer out of every cache: one between us and a browser does not know that a cookie decides over it."""

    async def send_unstored(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), (b"cache-control", b"no-store")]
        await send(message)

    return send_unstored


async def _authenticate(scope: Scope, state: State) -> Caller:
    """A key counts before a cookie, which a browser sends unasked."""
    scheme, _, secret = header(scope, b"authorization").partition(" ")
    secret = secret.strip()
    address = scope["client"][0] if scope.get("client") else ""
    caller = None
    if scheme.lower() == "bearer" and secret:
        caller = await state.keys.find(secret, address)
    elif token := session_cookie(scope, state.settings):
        caller = await state.sessions.find(token, address)
        if caller:
            check_csrf(scope, token)
    if caller is None:
        raise Problem(
            401,
            'A valid API key is needed: send "Authorization: Bearer <key>". '
            "Make one with `leadger keys create`; `scripts/run` prints a development key. "
            "People sign in at POST /api/session.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return caller
