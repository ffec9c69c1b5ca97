"""A small HTTP/1.1 client for load: prebuilt requests, one outstanding per connection, little work per answer."""

import asyncio
from collections.abc import Callable

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


def request_bytes(path: str, key: str, body: bytes) -> bytes:
    """A complete POST with a JSON body."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection(asyncio.Protocol):
    """One kept-alive connection. `on_answer` gets the status (0 if the connection broke) and the body."""

    def __init__(self, on_answer: Callable[["Connection", int, bytes], None]) -> None:
        self._on_answer = on_answer
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self.number = -1
        """The request that is outstanding; -1 if none is."""

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent."""
        return self._transport is not None

    def send(self, number: int, request: bytes) -> None:
        """Send a request; the connection must be open and idle."""
        assert self._transport is not None
        self.number = number
        self._transport.write(request)

    def close(self) -> None:
        """Close without waiting."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's is no subclass

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the loop; an outstanding request counts as answered with status 0."""
        self._transport = None
        if self.number >= 0:
            self._on_answer(self, 0, b"")

    def data_received(self, data: bytes) -> None:
        """Called by the loop with a part of an answer, mostly all of it."""
        received = self._received + data if self._received else data
        head_end = received.find(_HEAD_END)
        if head_end < 0:
            self._received = received
            return
        head = received[:head_end].lower()
        at = head.find(_LENGTH)
        if at < 0:
            raise ValueError("an answer without Content-Length")
        line_end = head.find(b"\r\n", at)
        length = int(head[at + len(_LENGTH) : line_end if line_end > 0 else None])
        if len(received) < head_end + 4 + length:
            self._received = received
            return
        self._received = b""
        self._on_answer(self, int(head[9:12]), received[head_end + 4 :])


async def connect(port: int, on_answer: Callable[[Connection, int, bytes], None]) -> Connection:
    """A connection to 127.0.0.1; load goes nowhere else."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: Connection(on_answer), "127.0.0.1", port)
    return connection
