"""From a template to an answer: what every page is given, and the policy under which a browser shows it."""

import gzip
from collections.abc import Mapping
from functools import cache
from string import punctuation
from typing import Any
from urllib.parse import quote

from fastapi import Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from api.access.cookies import clear_notice, form_token, notice, session_cookie, set_notice
from api.access.permissions import ANYBODY, Permission
from api.headers import header
from api.pages import words
from api.pages.assets import takes_gzip, url_of
from api.pages.forms import Form
from api.pages.navigation import groups_for, paths_of
from api.state import state_of
from db.core.row_keys import customer_uuid

POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "frame-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""Nothing from elsewhere, nothing inline, and in no foreign frame."""
_HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "same-origin", "Cache-Control": "no-store"}
NOTHING = Form()
"""A form in which nothing was typed."""
_PACKED_FROM_BYTES = 1024
_LEVEL = 5


def page(
    request: Request, template: str, *, status: int = 200, token: str = "", language: str = "", **context: Any
) -> Response:
    """A page. `token` is the session's secret where it has just begun, else that of the request counts.

    `language` is that of the partner whom the page is about; without one the browser says how figures are written.
    """
    settings = state_of(request).settings
    who = request.scope.get("caller", ANYBODY)
    secret = token or session_cookie(request.scope, settings)
    said = notice(request.scope, settings)
    text = (
        environment()
        .get_template(template)
        .render(
            who=who,
            path=request.url.path,
            groups=groups_for(request, who),
            has_search="/search" in paths_of(request) and who.may(Permission.READ),
            csrf_token=form_token(secret) if secret else "",
            notice=said,
            words=words_of(request, language),
            **context,
        )
    )
    response = _packed(request, text.encode(), status)
    if said:
        clear_notice(response, settings)
    return response


def words_of(request: Request, language: str) -> words.Words:
    """The words of a page in a language, or in the one that the browser asks for."""
    return words.words_for(language or header(request.scope, b"accept-language"))


def led_to(request: Request, path: str, said: str = "", *, shown_once: str = "") -> Response:
    """After a form: have the browser get another page, which says once what was done, and shows a secret once.

    What no header takes of a path, as letters of own ids, is escaped; what a path means by `?` and `%` stays.
    """
    location = quote(path, safe=punctuation)
    response = Response(status_code=303, headers={"Location": location, "Cache-Control": "no-store"})
    if said:
        set_notice(response, state_of(request).settings, f"{said}\n{shown_once}" if shown_once else said)
    return response


@cache
def environment() -> Environment:
    """The templates; whatever they show is text, never markup."""
    made = Environment(
        loader=PackageLoader("api.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {
        "asset": url_of,
        "states": words.STATES,
        "outcomes": words.OUTCOMES,
        "roles": words.ROLES,
        "taxes": words.TAXES,
        "nothing": NOTHING,
        "other_action": words.other_action,
    }
    made.filters |= {
        "period": words.period,
        "periods": words.periods,
        "day": words.day,
        "date": words.brief_day,
        "instant": words.instant,
        "customer_key": customer_uuid,
    }
    return made


def _packed(request: Request, content: bytes, status: int) -> Response:
    headers: Mapping[str, str] = _HEADERS | {"Vary": "Accept-Encoding"}
    if len(content) >= _PACKED_FROM_BYTES and takes_gzip(request):
        content, headers = gzip.compress(content, _LEVEL), {**headers, "Content-Encoding": "gzip"}
    return Response(content, status, headers, media_type="text/html")
