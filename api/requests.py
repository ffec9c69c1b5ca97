"""What every request gets: a correlation id, a log line if it fails, and an answer even to an unexpected fault."""

import re
from uuid import uuid4

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, problem_response

log = structlog.get_logger()

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestContext:
    """Takes the caller's X-Request-ID or makes one, binds it to the log, and sends it back."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _SANE_ID.fullmatch(given) else uuid4().hex
        scope["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            log.exception("request_failed", path=scope["path"], method=scope["method"])
            if started:
                raise
            problem = Problem(500, f"Something went wrong here; the log tells what under request id {request_id}.")
            await problem_response(Request(scope), problem)(scope, receive, send_with_id)
        finally:
            structlog.contextvars.unbind_contextvars("request_id")
