"""SIGTERM to the API: it answers the requests it has started, accepts no others, and ends."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import SimpleNamespace
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from api.__main__ import interrupt
from db.core.settings import Settings
from scripts.local.embedded.ports import free_port
from scripts.local.processes.keeper import descendants
from scripts.local.processes.process import Process
from tests.api.world import api_process, lead
from tests.scripts.processes import wait_until

_ENDS_S = 5.0
"""An API without requests ends at once; this much only on a busy machine."""


@pytest.fixture
def api(settings: Settings) -> Iterator[tuple[str, Process]]:
    """An API to be stopped: its URL and the process."""
    port = free_port()
    with api_process(settings, port) as process:
        yield f"http://127.0.0.1:{port}", process


def test_a_signal_in_the_moment_of_another_one_waits_for_nobody() -> None:
    """Failed before: `make` hands on the signal that its group has, and the server waited for itself for ever."""
    is_free, told = threading.Event(), threading.Event()

    class Held:
        def set(self) -> None:
            is_free.wait(_ENDS_S)
            told.set()

    server = SimpleNamespace(interrupt_signal=False, main_loop_interrupt=Held())
    interrupt(server)
    assert server.interrupt_signal
    assert not told.is_set()
    is_free.set()
    assert told.wait(_ENDS_S)


_SIGNALLED = """
import runpy
import threading
from types import SimpleNamespace

import granian.cli
from granian.server.common import AbstractServer

def serve() -> None:
    event, told = threading.Event(), []
    held = SimpleNamespace(set=lambda: told.append(event.wait(2)))
    AbstractServer.signal_handler_interrupt(SimpleNamespace(main_loop_interrupt=held), 15, None)
    print("waited" if told else "went on")
    event.set()

granian.cli.entrypoint = serve
runpy.run_module("api", run_name="__main__")
"""
"""What `python -m api` makes of a server's answer to a signal, where the server holds its lock."""


def test_the_server_of_the_api_answers_signals_so() -> None:
    run = subprocess.run([sys.executable, "-c", _SIGNALLED], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout == "went on\n"


def _client(url: str, key: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False)


def _connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return socket.create_connection((parts.hostname, parts.port), timeout=30)


def _accepts_connections(url: str) -> bool:
    try:
        with _connect(url):
            return True
    except OSError:
        return False


def _ends(process: Process) -> int:
    """The exit status of a process that ends soon."""
    wait_until(lambda: not process.running, "the API has ended", _ENDS_S)
    return process.wait()


@asynccontextmanager
async def _inbox_locked(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """Nothing can be accepted during the block, so a request lasts as long as that."""
    connection = await asyncpg.connect(settings.database_url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
            yield connection
    finally:
        await connection.close()


async def _wait_for_waiting(connection: asyncpg.Connection, count: int) -> None:
    deadline = time.monotonic() + 20
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'inbox'::regclass"
    while await connection.fetchval(waiting) < count:
        assert time.monotonic() < deadline, "no request came to the lock"


async def test_a_slow_request_gets_its_202_and_then_the_process_ends(
    api: tuple[str, Process], settings: Settings, admin_key: str
) -> None:
    url, process = api
    with ThreadPoolExecutor(1) as sender, _client(url, admin_key) as client:
        async with _inbox_locked(settings) as connection:
            sent = sender.submit(client.post, "/leads", json=lead())
            await _wait_for_waiting(connection, 1)
            process.stop()
            wait_until(lambda: not _accepts_connections(url), "no connection is taken any more")
            await asyncio.sleep(0.5)
            assert process.running
        answer = sent.result()
    assert answer.status_code == 202
    assert answer.headers["Connection"] == "close"
    assert _ends(process) == 0


async def test_clients_that_ask_for_nothing_do_not_keep_it(api: tuple[str, Process], admin_key: str) -> None:
    url, process = api
    request = f"GET /leads HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {admin_key}\r\n\r\n".encode()
    idle = [_connect(url) for _ in range(5)]
    for connection in idle[:4]:  # the last one has never asked
        connection.sendall(request)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    process.stop()
    assert _ends(process) == 0
    for connection in idle:
        assert connection.recv(65536) == b"", "closed in order; a reset would have raised"
        connection.close()


@pytest.mark.parametrize(
    "after_s", [pytest.param(0.0, marks=pytest.mark.slow), 0.2, pytest.param(0.5, marks=pytest.mark.slow)]
)
def test_it_ends_also_while_the_process_that_serves_is_replaced(api: tuple[str, Process], after_s: float) -> None:
    """Failed before: until it had loaded the app, a new process used inherited signal handlers and ignored SIGTERM."""
    _, process = api
    server, serving = descendants(process.pid)
    os.kill(serving, signal.SIGKILL)
    wait_until(lambda: set(descendants(server)) - {serving} != set(), "another one is there")
    time.sleep(after_s)
    process.stop()
    assert _ends(process) == 0


async def test_a_body_that_is_still_coming_is_waited_for(api: tuple[str, Process], admin_key: str) -> None:
    url, process = api
    body = httpx.Request("POST", url, json=lead()).content
    head = (
        f"POST /leads HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {admin_key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with _connect(url) as connection:
        connection.sendall(head.encode() + body[:20])
        await asyncio.sleep(0.3)
        process.stop()
        wait_until(lambda: not _accepts_connections(url), "no connection is taken any more")
        connection.sendall(body[20:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 202")
    assert _ends(process) == 0


async def test_under_load_everything_that_was_begun_is_answered(
    api: tuple[str, Process], settings: Settings, admin_key: str
) -> None:
    """A request that finds its connection closed may be sent again; one that was taken has to be answered."""
    url, process = api
    answers: Counter[str] = Counter()

    def send(sender: int) -> None:
        with _client(url, admin_key) as client:
            for number in range(100_000):
                try:
                    answers[str(client.post("/leads", json=lead(f"{sender}-{number}")).status_code)] += 1
                except httpx.HTTPError as error:
                    answers[type(error).__name__] += 1
                    return

    senders = [threading.Thread(target=send, args=(sender,)) for sender in range(8)]
    for sender in senders:
        sender.start()
    wait_until(lambda: answers["202"] > 100, "it is under load", timeout_s=60)
    process.stop()
    for sender in senders:
        sender.join(30)
    assert _ends(process) == 0
    connection = await asyncpg.connect(settings.database_url)
    stored = await connection.fetchval("SELECT sum(lead_count) FROM inbox")
    await connection.close()
    assert answers.pop("202") == stored
    assert set(answers) <= {"ConnectError", "RemoteProtocolError", "ReadError"}
    assert answers.total() == len(senders)
