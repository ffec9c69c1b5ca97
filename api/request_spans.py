"""One span per request."""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.request_context import route_of
from db.telemetry import tracing

_UNTRACED_PATHS = {"/health", "/ready", "/metrics"}
"""Health checks and scrapers call them every few seconds, and nobody looks for a trace of that."""

_METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}


class TracingMiddleware:
    """Makes a span for each request, in the caller's trace if the request names one (`traceparent`).

    The span names the route, but not the path or the query, for these hold ids of people.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in _UNTRACED_PATHS:
            await self._app(scope, receive, send)
            return
        status = 0

        def send_and_keep_status(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            return send(message)

        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        with tracing.span(method, "SERVER", {"http.request.method": method}, carrier=headers) as span:
            try:
                await self._app(scope, receive, send_and_keep_status)
            finally:
                if span:
                    route = route_of(scope)
                    span.update_name(f"{method} {route}".rstrip())
                    tracing.set_attributes({"http.route": route, "http.response.status_code": status})
                    tracing.set_attributes({"leadger.request_id": scope["request_id"]})
                    if status >= 500:
                        tracing.mark_failed(str(status))
