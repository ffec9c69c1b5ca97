"""What every request gets: a request id, a line in the log, and an answer even to an unexpected error."""

import re
import time
from collections.abc import Awaitable
from os import urandom

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.headers import header
from api.problem_answers import problem_response
from api.problems import Problem, log_failure, problem_from
from api.traffic.answers_in_time import PART_BYTES, ReadingStopped, send_in_parts
from db.telemetry import access_log

log = structlog.get_logger()

_NO_GUESSING = (b"x-content-type-options", b"nosniff")
_VALID_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestContextMiddleware:
    """Reads X-Request-ID or makes one, binds it to the log, and sends it back.

    No browser guesses an answer's type, and no client that stops reading holds a large one. With `writes_access_log`,
    every answer is a line in the log, found by the request id that the answer carries. It has the route, not the path
    or the query: these hold ids of people.
    """

    def __init__(self, app: ASGIApp, answer_timeout_s: float, writes_access_log: bool = False) -> None:
        self._app = app
        self._answer_timeout_s = answer_timeout_s
        self._writes_access_log = writes_access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = header(scope, b"x-request-id")
        request_id = given if _VALID_ID.fullmatch(given) else urandom(16).hex()
        scope["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = False
        status = 0
        began = time.perf_counter()

        def send_with_id(message: Message) -> Awaitable[None]:
            nonlocal started, status
            if message["type"] == "http.response.start":
                started = True
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                    _NO_GUESSING,
                ]
            elif len(message.get("body", b"")) > PART_BYTES:
                return send_in_parts(send, message, self._answer_timeout_s)
            return send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            if started:
                if not isinstance(error, ReadingStopped):
                    log_failure(scope)
                raise
            await _answer(error, scope, receive, send_with_id)
        finally:
            if self._writes_access_log:
                duration_ms = round((time.perf_counter() - began) * 1000, 1)
                key = scope["caller"].name_in_logs if "caller" in scope else ""
                access_log.write(request_id, scope["method"], route_of(scope), status, duration_ms, key)
            structlog.contextvars.unbind_contextvars("request_id")


def route_of(scope: Scope) -> str:
    """The path of the route, with the names of its parameters; the fast path and refusals reach no route."""
    if "route" in scope:
        route: str = scope["route"].path
        return route
    return "/leads" if scope["path"] == "/leads" else ""


async def _answer(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the error of a request.

    A frame that the error came through must not hold it: they would live until the garbage collector comes by, with
    the request, and the server keeps the connection of a request that somebody may still read.
    """
    request = Request(scope)
    problem = problem_from(error, request)
    if problem is None:
        log_failure(scope)
        problem = Problem(500, f"Something went wrong here; the log tells what under request id {scope['request_id']}.")
    await problem_response(request, problem)(scope, receive, send)
