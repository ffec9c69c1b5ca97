"""Reading the forms of pages: what a browser sends when a person presses a button."""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

from fastapi import Request
from starlette.types import Scope

from api.body import content_type, read_body
from api.headers import header
from api.problems import Problem

CSRF_FIELD = "csrf_token"
_TYPE = "application/x-www-form-urlencoded"
_MOST_FIELDS = 2000

Values = Mapping[str, Sequence[str]]
"""What was typed, by the name of the field."""


def is_form(scope: Scope) -> bool:
    """Whether the body of a request is a form."""
    return header(scope, b"content-type").partition(";")[0].strip().lower() == _TYPE


async def read_form(request: Request, most_bytes: int) -> Values:
    """What was typed; kept in `scope["form"]`, because a body can be read once.

    Problem 415 for what is no form, 400 for what no browser sends, and those of `read_body`.
    """
    if "form" not in request.scope:
        content_type(request, {_TYPE})
        body = await read_body(request, most_bytes)
        try:
            values = parse_qs(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
        except ValueError:
            raise Problem(400, "The form cannot be read.") from None
        request.scope["form"] = values
    typed: Values = request.scope["form"]
    return typed
