"""Whether and when leads are let in, decided before anything is made of them."""

from collections import deque

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access.permissions import Caller
from api.body import drop_body
from api.headers import header
from api.problems import Problem
from api.state import State
from api.traffic.concurrency import LARGE_BYTES

_UNPACKED = 16
"""By how much a packed body is longer than it looks, roughly."""


class Admission:
    """Refuses leads that have to wait outside (429), and has the large requests of a key take turns."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
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
        length, times = header(scope, b"content-length"), _UNPACKED if header(scope, b"content-encoding") else 1
        if length.isdecimal() and int(length) * times < LARGE_BYTES:
            await self._app(scope, receive, send)
            return
        # A slow sender must not hold up the others of its key, so the turn begins when all of the body is there.
        ahead, size = await _read_ahead(receive, state.settings.max_body_bytes)
        async with state.concurrency.limit(caller.id, size * times):
            await self._app(scope, ahead, send)


async def _read_ahead(receive: Receive, most_bytes: int) -> tuple[Receive, int]:
    """The body's messages, to be received once more, and its size; what is too large is left to be refused."""
    messages: deque[Message] = deque()
    size, more = 0, True
    while more and size <= most_bytes:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        more = message.get("more_body", False)

    async def again() -> Message:
        return messages.popleft() if messages else await receive()

    return again, size
