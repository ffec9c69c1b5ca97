"""A receiver of webhooks on 127.0.0.1, in the test's own loop; it notes what comes and answers as it is told."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"
FAULT = b"HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\nbroke"


@dataclass(frozen=True, slots=True)
class Received:
    """A request: its first line, its headers by lower-case name, its body."""

    line: str
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        """The body, read."""
        return msgspec.json.decode(self.body)


def _opened() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass(slots=True)
class Receiver:
    """What came, the answers to give next, and `answer` once those are used up; none leaves while the gate is shut."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    answer: bytes = OK
    linger_s: float = 0
    keeps_open: bool = False
    gate: asyncio.Event = field(default_factory=_opened)
    connections: int = 0
    most_at_once: int = 0
    _now: int = 0
    _serving: set[asyncio.Task[None] | None] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, or as many as come."""
        self.connections += 1
        self._serving.add(asyncio.current_task())
        try:
            while True:
                await self._answer_one(reader, writer)
                if not self.keeps_open:
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # whoever sent it was done, or the test is
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *rest = head.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in rest)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.received.append(Received(line, headers, body.decode()))
        answer = self.answers.pop(0) if self.answers else self.answer
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        await self.gate.wait()
        self._now -= 1
        writer.write(answer)
        await writer.drain()
        await asyncio.sleep(self.linger_s)

    async def end(self) -> None:
        """Leave whoever is being served."""
        for task in filter(None, self._serving):
            task.cancel()
        await asyncio.gather(*filter(None, self._serving), return_exceptions=True)


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver, until the end of the block."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        await receiver.end()
