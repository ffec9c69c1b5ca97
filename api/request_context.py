"""What every request gets: a request id, a log line if it fails, and an answer even to an unexpected error."""

import re
from collections.abc import Awaitable
from os import urandom

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.headers import header
from api.problems import Problem, problem_from, problem_response

log = structlog.get_logger()

_VALID_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestContextMiddleware:
    """Reads X-Request-ID or makes one, binds it to the log, and sends it back."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

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

        def send_with_id(message: Message) -> Awaitable[None]:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            return send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as error:
            request = Request(scope)
            problem = None if started else problem_from(error, request)
            if problem is None:
                log.exception("request_failed", path=scope["path"], method=scope["method"])
            if started:
                raise
            problem = problem or _unexpected(request_id)
            await problem_response(request, problem)(scope, receive, send_with_id)
        finally:
            structlog.contextvars.unbind_contextvars("request_id")


def _unexpected(request_id: str) -> Problem:
    return Problem(500, f"Something went wrong here; the log tells what under request id {request_id}.")
