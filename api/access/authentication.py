"""Authentication: who is calling, with an API key or in a session."""

from contextlib import suppress

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access.cookies import check_csrf, session_cookie
from api.access.permissions import ANYBODY, Caller
from api.body import drop_body
from api.forms import CSRF_FIELD, is_form, read_form
from api.headers import header
from api.problems import Problem
from api.state import State

_PUBLIC_PATHS = {"/health", "/ready", "/docs", "/openapi.json"}
_PUBLIC_FOLDERS = ("/docs/", "/static/")
FOR_ANYBODY = {
    ("POST", "/api/users"),
    ("POST", "/api/session"),
    ("POST", "/api/password/forgotten"),
    ("POST", "/api/password/reset"),
    ("POST", "/api/billing-scheduler/github-webhook"),
    ("GET", "/welcome"),
    ("HEAD", "/welcome"),
    ("POST", "/welcome/sign-in"),
    ("POST", "/welcome/sign-up"),
    ("POST", "/welcome/forgotten"),
    ("POST", "/welcome/set-up"),
    ("GET", "/password"),
    ("HEAD", "/password"),
    ("POST", "/password"),
}
"""Where people begin who cannot sign in yet, and GitHub, which is let in by its signature."""
_MOST_BYTES_OF_FORM = 1024 * 1024
_MOST_BYTES_KEPT = 64 * 1024
"""Of a form whose sender has no session any more, to keep what was typed."""


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
        if scope["type"] != "http" or _is_public(scope["path"]):
            await self._app(scope, receive, send)
            return
        if (scope["method"], scope["path"]) in FOR_ANYBODY:
            scope["caller"] = ANYBODY
            await self._app(scope, receive, send)
            return
        state: State = scope["app"].state.leadger
        try:
            caller = scope["caller"] = await _authenticate(scope, receive, state)
            await _check_rate(scope, receive, state, caller)
        except Problem:
            if "held_bytes" in scope:  # of a form; nothing beyond this releases them
                scope["held_bytes"].release()
            raise
        await self._app(scope, receive, _unstored(send) if caller.session else send)


async def _check_rate(scope: Scope, receive: Receive, state: State, caller: Caller) -> None:
    try:
        state.limiter.check(caller.id)
    except Problem:
        if "form" not in scope:
            await drop_body(scope, receive)
        raise


def _unstored(send: Send) -> Send:
    """Keep the answer out of every cache: one between us and a browser does not know that a cookie decides over it."""

    async def send_unstored(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), (b"cache-control", b"no-store")]
        await send(message)

    return send_unstored


def _is_public(path: str) -> bool:
    return path in _PUBLIC_PATHS or path.startswith(_PUBLIC_FOLDERS)


async def _authenticate(scope: Scope, receive: Receive, state: State) -> Caller:
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
            scope["caller"] = caller
            check_csrf(scope, token, await _form_field(scope, receive, _MOST_BYTES_OF_FORM))
    if caller is None:
        if _is_small(scope):
            scope["caller"] = ANYBODY
            with suppress(Problem):
                await _form_field(scope, receive, _MOST_BYTES_KEPT)
        raise Problem(
            401,
            'A valid API key is needed: send "Authorization: Bearer <key>". '
            "Make one with `leadger keys create`; `scripts/run` prints a development key. "
            "People sign in at POST /api/session.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return caller


def _is_small(scope: Scope) -> bool:
    length = header(scope, b"content-length")
    return length.isdecimal() and int(length) <= _MOST_BYTES_KEPT and not header(scope, b"content-encoding")


async def _form_field(scope: Scope, receive: Receive, most_bytes: int) -> str:
    """The token that a form carries; empty if the body is none."""
    if not is_form(scope):
        return ""
    return (await read_form(Request(scope, receive), most_bytes)).get(CSRF_FIELD, [""])[0]
