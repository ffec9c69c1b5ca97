"""Problems: refused requests and errors, each with one clear message. How they are answered: `api.problem_answers`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Scope

from billing.bills.moves import MoveRefused
from billing.errors import CommentMissing, InvalidValue, RuleViolation, TooManyWaiting
from db.bills.moves import StaleBill
from db.core.errors import DATABASE_UNAVAILABLE, UNFIT_DATABASE, BeingReevaluated, FileUnavailable, unavailable_because

log = structlog.get_logger()

MOST_ERRORS = 10_000
"""So many bad fields are named at most."""
_RETRY_AFTER_S = 2

_MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "too_short": "must have {min_length} or more items, and has {actual_length}",
    "too_long": "must have at most {max_length} items",
}


@dataclass(slots=True)
class FieldError:
    """One bad field: its JSON pointer, its lead's index in a batch (None outside one), and what is wrong with it."""

    pointer: str
    detail: str
    index: int | None = None

    def to_wire(self) -> dict[str, Any]:
        """As a member of `errors` in a problem document."""
        index = {} if self.index is None else {"index": self.index}
        return {"pointer": self.pointer, **index, "detail": self.detail}


SENT_TWICE = " A lead that is sent twice counts once."
"""What programs that send leads are told where they may try again."""


class Problem(HTTPException):
    """A refused request: the status, one message, the bad fields if there are any, and members of its own.

    It is an HTTPException because FastAPI turns every other exception into a 400 while it reads a body.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: dict[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status, detail, headers or {})
        self.errors = errors
        self.members = members or {}


def without_frames(problem: Problem) -> Problem:
    """The same problem without the frames that it came through.

    They hold the body of the request, and an exception and its frames refer to each other: they would live until the
    garbage collector comes by.
    """
    problem.__context__ = None
    return problem.with_traceback(None)


def problem_from(error: Exception, request: Request) -> Problem | None:
    """The answer to an exception; None if it is unexpected."""
    match error:
        case Problem():
            return error
        case MoveRefused():
            return Problem(409, str(error), members={"state": error.state, "moves": error.moves})
        case StaleBill():
            where, bill, now = error.difference
            return Problem(409, str(error), members={"stale": {"where": where, "bill": bill, "now": now}})
        case TooManyWaiting():
            return Problem(429, str(error), headers={"Retry-After": str(_RETRY_AFTER_S)})
        case RuleViolation():
            return Problem(409, str(error))
        case CommentMissing():
            return Problem(400, f"The comment {error}.", [FieldError("#/comment", str(error))])
        case InvalidValue():
            return Problem(400, f"A value {error}.")
        case RequestValidationError():
            errors = [_field_error_from_pydantic(each) for each in error.errors()]
            return Problem(400, f"{errors[0].pointer} {errors[0].detail}." if errors else "Not valid.", errors)
        case ClientDisconnect():
            return Problem(400, "The connection broke before the body was complete; nothing was stored.")
        case HTTPException():
            details = {404: f"There is nothing at {path_of(request)}.", 405: f"{request.method} is not allowed here."}
            detail = details.get(error.status_code, str(error.detail))
            return Problem(error.status_code, detail, headers=dict(error.headers or {}))
        case _ if isinstance(error, UNFIT_DATABASE):
            log_failure(request.scope)
            return _database_unavailable(error)
        case _ if isinstance(error, DATABASE_UNAVAILABLE):
            log.warning("database_unavailable", error=repr(error))
            return _database_unavailable(error)
        case BeingReevaluated():
            return Problem(503, str(error), headers={"Retry-After": str(_RETRY_AFTER_S)})
        case FileUnavailable():
            log.warning("files_unavailable", error=str(error))
            return Problem(503, str(error), headers={"Retry-After": str(_RETRY_AFTER_S)})
    return None


def log_failure(scope: Scope) -> None:
    """Log the error that is being handled, with its stack: it may be one of ours."""
    log.exception("request_failed", path=scope["path"], method=scope["method"])


def path_of(request: Request) -> str:
    """The path as it is written in a URL."""
    return quote(request.scope["path"], errors="replace")


def _database_unavailable(error: Exception) -> Problem:
    """Postgres cannot do it just now: nothing was acknowledged, and trying again soon is right."""
    return Problem(
        503,
        f"{unavailable_because(error)}; try again in a moment.{SENT_TWICE}",
        headers={"Retry-After": str(_RETRY_AFTER_S)},
    )


def _field_error_from_pydantic(error: dict[str, Any]) -> FieldError:
    where, *path = error["loc"]
    detail = _MESSAGES.get(error["type"], "").format(**error.get("ctx", {}))
    detail = detail or str(error["msg"]).removeprefix("Value error, ")
    detail = detail.replace("Input should be", "must be").replace("String should", "must")
    if where == "body":
        pointer = "#/" + "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in path)
        return FieldError(pointer if path else "#", detail)
    return FieldError(f"{where}:{'/'.join(map(str, path))}", detail)
