"""The cookies of people, and the token that proves that a request comes from a page of ours.

A browser sends a cookie with whatever request a foreign page makes it send. That page cannot read the token, so
whatever changes something carries it.
"""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

from fastapi import Response
from starlette.requests import cookie_parser
from starlette.types import Scope

from api.headers import header
from api.problems import Problem
from db.access.sessions import NewSession
from db.core.settings import Settings

SESSION = "leadger_session"
"""The cookie of a session; where it is Secure, its name begins with `__Host-`."""

_BROWSER, _NOTICE = "leadger_browser", "leadger_notice"
_NOTICE_S = 60
_BROWSER_S = 180 * 86_400
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def session_cookie(scope: Scope, settings: Settings) -> str:
    """The secret of the session that a request comes with; empty if there is none."""
    return _cookie(scope, _name(SESSION, settings))


def browser_cookie(scope: Scope) -> str:
    """The secret by which an account knows the browser; empty if there is none."""
    return _cookie(scope, _BROWSER)


def set_cookies(response: Response, settings: Settings, session: NewSession) -> None:
    """Give the browser the secrets of a new session; no script can read them."""
    name = _name(SESSION, settings)
    response.set_cookie(
        name, session.token, expires=session.expires_at, secure=_is_secure(settings), httponly=True, samesite="lax"
    )
    response.set_cookie(
        _BROWSER,
        session.browser,
        max_age=_BROWSER_S,
        secure=_is_secure(settings),
        httponly=True,
        samesite="lax",
    )


def clear_session_cookie(response: Response, settings: Settings) -> None:
    """Have the browser forget the session; the browser stays known."""
    response.delete_cookie(_name(SESSION, settings), secure=_is_secure(settings), httponly=True, samesite="lax")


def csrf_token(session_token: str) -> str:
    """The token of a session. It follows from the session's secret, and the secret does not follow from it."""
    return _text(hmac.digest(session_token.encode(), b"csrf", sha256))


def form_token(session_token: str) -> str:
    """The token as a field of a form, another text each time: whoever measures compressed pages learns nothing."""
    mask = secrets.token_bytes(32)
    return _text(mask + _masked(csrf_token(session_token).encode(), mask))


def is_form_token(sent: str, session_token: str) -> bool:
    """Whether a field of a form has the token of the session."""
    try:
        raw = urlsafe_b64decode(sent + "=" * (-len(sent) % 4))
    except ValueError:
        return False
    return hmac.compare_digest(_masked(raw[32:], raw[:32]), csrf_token(session_token).encode())


def check_csrf(scope: Scope, session_token: str, form_field: str) -> None:
    """Problem 403 for a request that may change something and carries the session's token in no header and no form."""
    if scope["method"] in _READING or is_form_token(form_field, session_token):
        return
    if not hmac.compare_digest(header(scope, b"x-csrf-token").encode(), csrf_token(session_token).encode()):
        raise Problem(
            403, "Send the header X-CSRF-Token with the csrf_token of your session; GET /api/session tells it."
        )


def set_notice(response: Response, settings: Settings, text: str) -> None:
    """Have the next page show a sentence, once."""
    response.set_cookie(
        _name(_NOTICE, settings),
        _text(text.encode()),
        max_age=_NOTICE_S,
        secure=_is_secure(settings),
        httponly=True,
        samesite="lax",
    )


def notice(scope: Scope, settings: Settings) -> str:
    """The sentence for this page; empty if there is none."""
    sent = _cookie(scope, _name(_NOTICE, settings))
    try:
        return urlsafe_b64decode(sent + "=" * (-len(sent) % 4)).decode()
    except ValueError:
        return ""


def clear_notice(response: Response, settings: Settings) -> None:
    """Forget the sentence."""
    response.delete_cookie(_name(_NOTICE, settings), secure=_is_secure(settings), httponly=True, samesite="lax")


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _masked(text: bytes, mask: bytes) -> bytes:
    """The text with every byte changed by one of the mask, or back."""
    return bytes(byte ^ mask[place % len(mask)] for place, byte in enumerate(text))


def _cookie(scope: Scope, name: str) -> str:
    """The value of a cookie; HTTP/2 may send each in a header of its own, and other programs odd ones."""
    sent = b"; ".join(value for key, value in scope["headers"] if key == b"cookie")
    return cookie_parser(sent.decode("latin-1")).get(name, "")


def _name(name: str, settings: Settings) -> str:
    """With the prefix a browser takes the cookie over https only, and from no other host of the domain."""
    return f"__Host-{name}" if _is_secure(settings) else name


def _is_secure(settings: Settings) -> bool:
    return settings.api_base_url.startswith("https://")
