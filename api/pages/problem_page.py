"""Refusals and faults as pages; who has no session any more is led to the sign-in, which keeps what was typed."""

from http import HTTPStatus
from urllib.parse import quote

from fastapi import Request, Response
from starlette.types import Scope

from api.access.cookies import is_form_token, session_cookie
from api.access.permissions import ANYBODY, ROLES, NotPermitted, Permission
from api.forms import CSRF_FIELD
from api.headers import header
from api.negotiation import accepted
from api.pages.forms import Form
from api.pages.rendering import led_to, page
from api.pages.welcome import welcome_page
from api.pages.words import ROLES as NAMES_OF_ROLES
from api.problems import SENT_TWICE, Problem, path_of
from api.state import state_of
from billing.roles import Role

_HTML = "text/html"
_TITLES = {
    400: "This cannot be read",
    403: "This is not open to you",
    404: "There is nothing here",
    405: "This cannot be done here",
    409: "This cannot be done now",
    413: "This is too large",
    415: "This cannot be read",
    429: "Too many requests",
    500: "Something went wrong",
    503: "Not available just now",
}


def wants_page(scope: Scope) -> bool:
    """Whether the answer is for a browser that shows it."""
    return accepted(header(scope, b"accept"), ("application/json", _HTML)) == _HTML


def problem_page(request: Request, problem: Problem) -> Response:
    """The page of a refusal or a fault."""
    if problem.status_code == HTTPStatus.UNAUTHORIZED:
        return _sign_in_page(request)
    status = problem.status_code
    response = page(
        request,
        "problem.html",
        status=status,
        title=_TITLES.get(status, HTTPStatus(status).phrase),
        detail=_detail(request, problem),
        again=_asked(request) if status == HTTPStatus.SERVICE_UNAVAILABLE and request.method == "GET" else "",
        errors=problem.errors[:20],
        request_id=request.scope.get("request_id", ""),
    )
    response.headers.update(problem.headers or {})
    return response


def _detail(request: Request, problem: Problem) -> str:
    """The refusal in words for people: whose page it is, not which permission."""
    session = request.scope.get("caller", ANYBODY).session
    if not isinstance(problem, NotPermitted) or session is None or session.role is None:
        return str(problem.detail).removesuffix(SENT_TWICE)
    enough = {problem.permission, Permission.ADMIN}
    theirs = [NAMES_OF_ROLES[role] for role, has in ROLES.items() if role is not Role.PARTNER and enough & {*has}]
    return f"Your role is {NAMES_OF_ROLES[session.role]}; this is for {' and '.join(theirs)}. An Admin gives roles."


def _asked(request: Request) -> str:
    """What was asked for, as a link."""
    return path_of(request) + (f"?{request.url.query}" if request.url.query else "")


def _sign_in_page(request: Request) -> Response:
    if request.method in ("GET", "HEAD"):
        target = _asked(request)
        return led_to(request, "/welcome" if target == "/" else f"/welcome?next={quote(target, safe='')}")
    typed = Form(request.scope.get("form", {}))
    # Only a page of ours knows the token: nobody else puts words into a person's form.
    ours = is_form_token(typed.value(CSRF_FIELD), session_cookie(request.scope, state_of(request).settings))
    return welcome_page(request, Form(status=401), kept=typed.typed() if ours else [], target=path_of(request))
