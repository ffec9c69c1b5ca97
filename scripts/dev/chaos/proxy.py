"""A TCP proxy before Postgres that can cut a connection at the moment of its COMMIT."""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

_BYTES = 65_536
_COPY_DONE = b"c\x00\x00\x00\x04"


@dataclass
class _Line:
    """One connection: who opened it, whether a transaction is open, and whether it has written."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    opening: bytes = b""
    in_transaction: bool = False
    has_written: bool = False
    is_deaf: bool = False


@dataclass
class CommitCutter:
    """The proxy. Armed for an application, it cuts the next COMMIT of a transaction that has written, once."""

    url: str = ""
    cuts: int = 0
    _armed: tuple[bytes, bool] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _done: threading.Event = field(default_factory=threading.Event)

    def cut_next(self, application: str, *, after: bool) -> None:
        """Cut once: `after` the server has committed and before it can say so, or before it hears of the COMMIT."""
        with self._lock:
            self._done.clear()
            self._armed = (application.encode(), after)

    def wait(self, timeout_s: float) -> bool:
        """Whether the cut has come within the time."""
        return self._done.wait(timeout_s)

    def must_cut(self, line: _Line, data: bytes) -> bool | None:
        """None: go on. Else cut, true after the commit and false before it."""
        if b"BEGIN" in data:
            line.in_transaction = True
        if b'COPY "' in data:
            line.has_written = True
        # Outside a transaction the end of a COPY is its commit.
        if b"COMMIT;" not in data and (line.in_transaction or not data.endswith(_COPY_DONE)):
            return None
        wrote, line.has_written, line.in_transaction = line.has_written, False, False
        with self._lock:
            if not wrote or self._armed is None or self._armed[0] not in line.opening:
                return None
            after, self._armed = self._armed[1], None
            self.cuts += 1
        return after

    def has_cut(self) -> None:
        """The connection is cut."""
        self._done.set()


@contextmanager
def cutting_proxy(database_url: str) -> Iterator[CommitCutter]:
    """A proxy on a free port of 127.0.0.1; its `url` is the database's with the other port."""
    cutter = CommitCutter()
    parts = urlsplit(database_url)
    assert parts.hostname is not None
    assert parts.port is not None
    address = (parts.hostname, parts.port)
    listening = socket.create_server(("127.0.0.1", 0))
    account = parts.netloc.rpartition("@")[0]
    cutter.url = urlunsplit(parts._replace(netloc=f"{account}@127.0.0.1:{listening.getsockname()[1]}"))
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()
    thread = threading.Thread(
        target=loop.run_until_complete, args=(_serve(cutter, listening, address, ended),), name="proxy", daemon=True
    )
    thread.start()
    try:
        yield cutter
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


async def _serve(
    cutter: CommitCutter, listening: socket.socket, address: tuple[str, int], ended: asyncio.Event
) -> None:
    at_work: set[asyncio.Task[None]] = set()

    async def connected(from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        at_work.add(task)
        try:
            from_server, to_server = await asyncio.open_connection(*address)
        except OSError:
            _reset(to_client)
            at_work.discard(task)
            return
        line = _Line(to_client, to_server)
        try:
            await asyncio.gather(_requests(cutter, line, from_client), _answers(cutter, line, from_server))
        except asyncio.CancelledError:
            pass  # the proxy ends
        finally:
            _reset(to_client)
            _reset(to_server)
            at_work.discard(task)

    server = await asyncio.start_server(connected, sock=listening)
    await ended.wait()
    server.close()
    for task in list(at_work):
        task.cancel()
    await asyncio.gather(*at_work, return_exceptions=True)


async def _requests(cutter: CommitCutter, line: _Line, from_client: asyncio.StreamReader) -> None:
    with suppress(OSError):
        while data := await from_client.read(_BYTES):
            if b"leadger" in data and not line.opening:
                line.opening = data
            cut = cutter.must_cut(line, data)
            if cut is False:
                _reset(line.client)
                _reset(line.server)
                cutter.has_cut()
                return
            line.is_deaf = cut is True
            line.server.write(data)
            await line.server.drain()
    _reset(line.server)


async def _answers(cutter: CommitCutter, line: _Line, from_server: asyncio.StreamReader) -> None:
    with suppress(OSError):
        while data := await from_server.read(_BYTES):
            if line.is_deaf:  # the server has committed; nobody will hear of it
                _reset(line.client)
                _reset(line.server)
                cutter.has_cut()
                return
            line.client.write(data)
            await line.client.drain()
    _reset(line.client)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close as a broken cable does: at once, with nothing said."""
    with suppress(OSError):
        sock = writer.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
