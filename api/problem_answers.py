"""The answers to problems: documents (RFC 9457) for programs, pages for whoever asks for HTML."""

from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from api.pages.problem_page import problem_page, wants_page
from api.problems import MOST_ERRORS, Problem, path_of, problem_from
from billing.errors import InvalidValue, RuleViolation
from db.core.errors import DATABASE_UNAVAILABLE, UNFIT_DATABASE, BeingReevaluated, FileUnavailable

MEDIA_TYPE = "application/problem+json"


def problem_response(request: Request, problem: Problem) -> Response:
    """A page, or an RFC 9457 document with at most MOST_ERRORS field errors; `errors_left_out` counts the rest."""
    if wants_page(request.scope):
        return problem_page(request, problem)
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status_code).phrase,
        "status": problem.status_code,
        "detail": problem.detail,
        "instance": path_of(request),
        "request_id": request.scope.get("request_id", ""),
    }
    if problem.errors:
        document["errors"] = [error.to_wire() for error in problem.errors[:MOST_ERRORS]]
        if len(problem.errors) > MOST_ERRORS:
            document["errors_left_out"] = len(problem.errors) - MOST_ERRORS
    document |= problem.members
    return Response(msgspec.json.encode(document), problem.status_code, headers=problem.headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every expected exception of a route with a problem document; `api.request_context` answers the others."""

    async def answer(request: Request, error: Exception) -> Response:
        problem = problem_from(error, request)
        if problem is None:
            raise error
        return problem_response(request, problem)

    for kind in (
        HTTPException,
        RuleViolation,
        InvalidValue,
        RequestValidationError,
        BeingReevaluated,
        FileUnavailable,
        ClientDisconnect,
        *DATABASE_UNAVAILABLE,
        *UNFIT_DATABASE,
    ):
        app.add_exception_handler(kind, answer)
