"""Bodies that stop coming, or come in drops, end with 408 and give back what they held."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest

from api.traffic.body_deadlines import BodyDeadlines
from db.core.settings import Settings
from scripts.local.embedded.ports import free_port
from tests.api.world import api_process, lead

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def server(shared_settings: Settings) -> Iterator[str]:
    """The API in a process of its own, with a short patience."""
    port = free_port()
    with api_process(shared_settings, port, LEADGER_BODY_TIMEOUT_S="1"):
        yield f"http://127.0.0.1:{port}"


def _begin(server: str, key: str, path: str, length: int, sent: bytes = b"") -> socket.socket:
    parts = urlsplit(server)
    assert parts.hostname
    assert parts.port
    connection = socket.create_connection((parts.hostname, parts.port), timeout=30)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {key}\r\n"
    connection.sendall(head.encode() + f"Content-Length: {length}\r\n\r\n".encode() + sent)
    return connection


def _answer(connection: socket.socket) -> bytes:
    """The head of the answer and what came with it."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        block = connection.recv(65536)
        assert block, answer
        answer += block
    return answer


def _answer_to_its_end(connection: socket.socket) -> bytes:
    """All that comes until the server ends the connection, which must be soon."""
    answer = _answer(connection)
    connection.settimeout(5)
    while block := connection.recv(65536):
        answer += block
    return answer


@pytest.mark.parametrize("path", ["/leads", "/leads?partial=true", "/api/partners"])
@pytest.mark.parametrize(("length", "sent"), [(100, b""), (100, b"{"), (900_000, b"[" * 300_000)])
def test_a_body_that_stops_coming_is_408_and_the_connection_ends(
    server: str, shared_key: str, path: str, length: int, sent: bytes
) -> None:
    started = time.monotonic()
    with _begin(server, shared_key, path, length, sent) as connection:
        answer = _answer_to_its_end(connection)
    assert answer.startswith(b"HTTP/1.1 408 "), answer
    assert b"\r\nconnection: close\r\n" in answer
    assert b"application/problem+json" in answer
    assert 0.9 < time.monotonic() - started < 10


def test_a_body_that_comes_in_drops_is_408(server: str, shared_key: str) -> None:
    started = time.monotonic()
    with _begin(server, shared_key, "/leads", 1000) as connection:
        connection.setblocking(False)
        answer = b""
        while not answer:
            assert time.monotonic() - started < 15
            connection.send(b" ")
            time.sleep(0.2)
            try:
                answer = connection.recv(4096)
            except BlockingIOError:
                continue
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_slow_senders_are_cut_while_others_are_served(server: str, shared_key: str) -> None:
    headers = {"Authorization": f"Bearer {shared_key}"}
    with ExitStack() as stack:
        slow = [stack.enter_context(_begin(server, shared_key, "/leads", 16 * MEGABYTE)) for _ in range(40)]
        for each in slow:
            each.sendall(b"[" * MEGABYTE)
        quick = httpx.post(f"{server}/leads", json=lead("quick"), headers=headers)
        assert quick.status_code == 202, quick.text
        assert httpx.get(f"{server}/health").status_code == 200
        answers = [_answer(each) for each in slow]
    assert {int(answer.split()[1]) for answer in answers} <= {408, 429}
    assert answers[0].startswith(b"HTTP/1.1 408 ")
    assert httpx.post(f"{server}/leads", json=lead("after"), headers=headers).status_code == 202


async def test_a_steady_body_may_take_longer_than_the_timeout() -> None:
    deadlines = BodyDeadlines(0.2)
    async with deadlines.watching():
        arrival = deadlines.begin()
        for _ in range(8):
            await asyncio.sleep(0.1)
            arrival.count(100_000)
        deadlines.end(arrival)
    assert not arrival.given_up


async def test_a_task_that_somebody_else_cancels_is_not_given_up() -> None:
    deadlines = BodyDeadlines(60)

    async def receive() -> None:
        arrival = deadlines.begin()
        try:
            await asyncio.sleep(60)
        finally:
            deadlines.end(arrival)
            given_up.append(arrival.given_up)

    given_up: list[bool] = []
    task = asyncio.create_task(receive())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert given_up == [False]
