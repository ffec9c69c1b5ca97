"""The cookies of people, and the token that proves that a request comes from a page of ours.

A browser sends a cookie with whatever request a foreign page makes it send. That page cannot read the token, so
whatever changes something carries it.
"""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256

from fastapi import Response
from starlette.requests import cookie_parser
from starlette.types import Scope

from api.headers import header
from api.problems import Problem
from db.access.sessions import NewSession
from db.core.settings import Settings

_SESSION, _BROWSER = "leadger_session", "leadger_browser"
_BROWSER_PATH = "/api/session"
_BROWSER_S = 180 * 86_400
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def session_cookie(scope: Scope, settings: Settings) -> str:
    """The secret of the session that a request comes with; empty if there is none."""
    return _cookie(scope, _name(_SESSION, settings))


def browser_cookie(scope: Scope) -> str:
    """The secret by which an account knows the browser; empty if there is none."""
    return _cookie(scope, _BROWSER)


def set_cookies(response: Response, settings: Settings, session: NewSession) -> None:
    """Give the browser the secrets of a new session; no script can read them."""
    name = _name(_SESSION, settings)
    response.set_cookie(
        name, session.token, expires=session.expires_at, secure=_is_secure(settings), httponly=True, samesite="lax"
    )
    response.set_cookie(
        _BROWSER,
        session.browser,
        max_age=_BROWSER_S,
        path=_BROWSER_PATH,
        secure=_is_secure(settings),
        httponly=True,
        samesite="lax",
    )


def clear_session_cookie(response: Response, settings: Settings) -> None:
    """Have the browser forget the session; the browser stays known."""
    response.delete_cookie(_name(_SESSION, settings), secure=_is_secure(settings), httponly=True, samesite="lax")


def csrf_token(session_token: str) -> str:
    """The token of a session. It follows from the session's secret, and the secret does not follow from it."""
    return urlsafe_b64encode(hmac.digest(session_token.encode(), b"csrf", sha256)).decode().rstrip("=")


def check_csrf(scope: Scope, session_token: str) -> None:
    """Problem 403 for a request that may change something and does not carry the session's token."""
    if scope["method"] in _READING:
        return
    if not hmac.compare_digest(header(scope, b"x-csrf-token").encode(), csrf_token(session_token).encode()):
        raise Problem(
            403, "Send the header X-CSRF-Token with the csrf_token of your session; GET /api/session tells it."
        )


def _cookie(scope: Scope, name: str) -> str:
    """The value of a cookie; HTTP/2 may send each in a header of its own, and other programs odd ones."""
    sent = b"; ".join(value for key, value in scope["headers"] if key == b"cookie")
    return cookie_parser(sent.decode("latin-1")).get(name, "")


def _name(name: str, settings: Settings) -> str:
    """With the prefix a browser takes the cookie over https only, and from no other host of the domain."""
    return f"__Host-{name}" if _is_secure(settings) else name


def _is_secure(settings: Settings) -> bool:
    return settings.api_base_url.startswith("https://")
