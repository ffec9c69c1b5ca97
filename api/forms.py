"""Reading the forms of pages: what a browser sends when a person presses a button."""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

from fastapi import Request
from starlette.types import Scope

from api.access.permissions import ANYBODY, Caller, Permission
from api.body import content_type, read_body
from api.headers import header
from api.multipart import SentFile, read_multipart
from api.problems import Problem

CSRF_FIELD = "csrf_token"
_TYPE = "application/x-www-form-urlencoded"
_TYPE_WITH_FILE = "multipart/form-data"
_TAKE_FILES = {
    "/import": Permission.INGEST,
    "/partner/reconciliation": Permission.READ,
    "/partner/returns": Permission.READ,
}
"""The paths of forms with a file, each with what its sender must be allowed to do."""
_MOST_FIELDS = 2000
MOST_BYTES_WITH_FILE = 8 * 1024 * 1024
"""Of a form with a file, all together; a gateway of AWS takes 10 MB."""

Values = Mapping[str, Sequence[str]]
"""What was typed, by the name of the field."""


def is_form(scope: Scope) -> bool:
    """Whether the body of a request is a form; one with a file only where the caller may send one."""
    return _type(scope) == _TYPE or _has_file(scope)


async def read_form(request: Request, most_bytes: int) -> Values:
    """What was typed; kept in `scope["form"]`, and files in `scope["files"]`, because a body can be read once.

    Problem 415 for what is no form, 400 for what no browser sends, and those of `read_body`.
    """
    scope = request.scope
    if "form" not in scope:
        has_file = _has_file(scope)
        if not has_file:
            content_type(request, {_TYPE})
        body = await read_body(request, MOST_BYTES_WITH_FILE if has_file else most_bytes)
        try:
            if has_file:
                scope["form"], scope["files"] = read_multipart(body, header(scope, b"content-type"))
            else:
                scope["form"] = parse_qs(
                    body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
                )
        except ValueError:
            raise Problem(400, "The form cannot be read.") from None
    typed: Values = scope["form"]
    return typed


def sent_file(request: Request, name: str) -> SentFile:
    """The file of a form that was read; empty if none was chosen."""
    files: Mapping[str, SentFile] = request.scope.get("files", {})
    return files.get(name, SentFile())


def _has_file(scope: Scope) -> bool:
    caller: Caller = scope["caller"]
    needed = _TAKE_FILES.get(scope["path"])
    # Of somebody whose session is over no more is read than what keeps what they typed.
    is_open = needed is not None and (caller is ANYBODY or caller.may(needed, caller.partner_id))
    return is_open and _type(scope) == _TYPE_WITH_FILE


def _type(scope: Scope) -> str:
    return header(scope, b"content-type").partition(";")[0].strip().lower()
