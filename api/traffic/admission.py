"""Admission: whether a request with leads is accepted, and when it starts, decided before its body is parsed."""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.access.permissions import Caller, Permission
from api.body import drop_body, read_body
from api.headers import header
from api.problems import Problem
from api.state import State
from api.traffic.concurrency import LARGE_BYTES

_TRIMMED_FROM_BYTES = 1024 * 1024


class AdmissionMiddleware:
    """Refuses leads while the inbox has no room for them (429), and limits the large requests of each key.

    It also releases the bytes that any request held (`api.body`), once the request is answered.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; Problem 429 if the leads of the caller have to wait."""
        try:
            if scope["type"] == "http" and scope["path"] == "/leads" and scope["method"] == "POST":
                await self._admit(scope, receive, send)
            else:
                await self._app(scope, receive, send)
        finally:
            if "held_bytes" in scope:
                scope["held_bytes"].release()

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        state: State = scope["app"].state.leadger
        caller: Caller = scope["caller"]
        try:
            state.backpressure.check(caller)
        except Problem:
            await drop_body(scope, receive)
            raise
        length, encoding = header(scope, b"content-length"), header(scope, b"content-encoding")
        small = length.isdecimal() and int(length) < LARGE_BYTES and not encoding
        if small or not caller.may(Permission.INGEST, caller.partner_id):
            await self._app(scope, receive, send)
            return
        # The body is read before the request counts, so that a slow sender does not hold up the others of its key.
        body = scope["body"] = await read_body(Request(scope, receive), state.settings.max_body_bytes)
        size = len(body)
        del body  # else it would stay here when its leads are read
        if size < LARGE_BYTES:
            await self._app(scope, receive, send)
            return
        try:
            async with state.concurrency.limit(caller.id, size):
                await self._app(scope, receive, send)
        finally:
            if size >= _TRIMMED_FROM_BYTES:
                state.memory.give_back()
