"""Admission: whether a request with leads is accepted, and when it starts, decided before its body is parsed."""

from collections import deque

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access.permissions import Caller
from api.body import drop_body
from api.headers import header
from api.problems import Problem
from api.state import State
from api.traffic.concurrency import LARGE_BYTES

_COMPRESSION_RATIO = 16
"""How many times longer than its Content-Length a compressed body is, roughly."""


class AdmissionMiddleware:
    """Refuses leads while the inbox has no room for them (429), and limits the large requests of each key."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; Problem 429 if the leads of the caller have to wait."""
        if scope["type"] != "http" or scope["path"] != "/leads" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        state: State = scope["app"].state.leadger
        caller: Caller = scope["caller"]
        try:
            state.backpressure.check(caller)
        except Problem:
            await drop_body(scope, receive)
            raise
        length, ratio = (
            header(scope, b"content-length"),
            _COMPRESSION_RATIO if header(scope, b"content-encoding") else 1,
        )
        if length.isdecimal() and int(length) * ratio < LARGE_BYTES:
            await self._app(scope, receive, send)
            return
        # The body is read before the request counts, so that a slow sender does not hold up the others of its key.
        receive_again, size = await _read_ahead(receive, state.settings.max_body_bytes)
        async with state.concurrency.limit(caller.id, size * ratio):
            await self._app(scope, receive_again, send)


async def _read_ahead(receive: Receive, most_bytes: int) -> tuple[Receive, int]:
    """Read the body. Returns a function that receives it again, and its size; too large a body is read in part."""
    messages: deque[Message] = deque()
    size, more = 0, True
    while more and size <= most_bytes:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        more = message.get("more_body", False)

    async def receive_again() -> Message:
        return messages.popleft() if messages else await receive()

    return receive_again, size
