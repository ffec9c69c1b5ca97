"""Problem documents (RFC 9457): every refusal and every fault is one clear sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import asyncpg
import msgspec
import sqlalchemy.exc
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from billing.errors import InvalidValue, RuleViolation

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
_MOST_ERRORS = 10_000
_RETRY_AFTER_S = 2

OUT_OF_REACH = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    asyncpg.exceptions.AdminShutdownError,
    asyncpg.exceptions.CrashShutdownError,
    sqlalchemy.exc.TimeoutError,
    OSError,
    TimeoutError,
)
"""What a Postgres that cannot be reached, or not in time, makes a request raise."""


@dataclass(slots=True)
class FieldError:
    """One bad field: its JSON pointer, its lead's index in a batch (None outside one), and what is wrong with it."""

    pointer: str
    detail: str
    index: int | None = None

    def to_wire(self) -> dict[str, Any]:
        """As it stands in a problem document."""
        place = {} if self.index is None else {"index": self.index}
        return {"pointer": self.pointer, **place, "detail": self.detail}


class Problem(Exception):
    """A refusal: the status, one sentence, and the bad fields if there are any."""

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: dict[str, str] | None = None,
        title: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors, self.headers = status, detail, errors, headers or {}
        self.title = title or HTTPStatus(status).phrase


def problem_response(request: Request, problem: Problem) -> Response:
    """The problem as a response."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": request.url.path,
        "request_id": request.scope.get("request_id", ""),
    }
    if problem.errors:
        document["errors"] = [error.to_wire() for error in problem.errors[:_MOST_ERRORS]]
        if len(problem.errors) > _MOST_ERRORS:
            document["errors_left_out"] = len(problem.errors) - _MOST_ERRORS
    return Response(
        msgspec.json.encode(document), problem.status, headers=problem.headers, media_type=MEDIA_TYPE
    )


def out_of_reach() -> Problem:
    """Postgres cannot be reached: nothing was accepted, and trying again soon is right."""
    return Problem(
        503, "The database cannot be reached just now; nothing was stored.", headers={"Retry-After": str(_RETRY_AFTER_S)}
    )


def install(app: FastAPI) -> None:
    """Turn every exception of the app into a problem document."""

    @app.exception_handler(Problem)
    async def _problem(request: Request, error: Problem) -> Response:
        return problem_response(request, error)

    @app.exception_handler(RuleViolation)
    async def _rule(request: Request, error: RuleViolation) -> Response:
        return problem_response(request, Problem(409, str(error)))

    @app.exception_handler(InvalidValue)
    async def _invalid(request: Request, error: InvalidValue) -> Response:
        return problem_response(request, Problem(400, f"A value {error}."))

    @app.exception_handler(RequestValidationError)
    async def _validation(request: Request, error: RequestValidationError) -> Response:
        errors = [_field_error(each) for each in error.errors()]
        detail = f"{errors[0].pointer}: {errors[0].detail}" if errors else "The request is not valid."
        return problem_response(request, Problem(400, detail, errors))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        detail = {
            404: f"There is nothing at {request.url.path}.",
            405: f"{request.method} is not allowed at {request.url.path}.",
        }.get(error.status_code, str(error.detail))
        return problem_response(request, Problem(error.status_code, detail, headers=dict(error.headers or {})))

    for kind in OUT_OF_REACH:

        @app.exception_handler(kind)
        async def _unreachable(request: Request, error: Exception) -> Response:
            log.warning("database_out_of_reach", error=repr(error))
            return problem_response(request, out_of_reach())


def _field_error(error: dict[str, Any]) -> FieldError:
    where, *path = error["loc"]
    message = str(error["msg"]).removeprefix("Value error, ")
    if where == "body":
        pointer = "#/" + "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in path)
        return FieldError(pointer if path else "#", message)
    return FieldError(f"{where}:{'/'.join(map(str, path))}", message)
