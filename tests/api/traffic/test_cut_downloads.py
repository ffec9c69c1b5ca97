"""A download that is cut is seen to be cut: chunks without the last one, so no client takes it for a shorter file."""

import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.settings import Settings
from db.ledger.policies import Policies
from scripts.local.embedded.ports import free_port
from tests.api.world import action, api_process, bill, lead, make_masters

_LAST_CHUNK = b"\r\n0\r\n\r\n"
_SMALL_BUFFER_BYTES = 4096
_ACTIONS, _LEADS = 1000, 12


@pytest.fixture(scope="module")
def server(shared_settings: Settings) -> Iterator[str]:
    """The API in a process of its own, with a short patience."""
    port = free_port()
    with api_process(shared_settings, port, LEADGER_ANSWER_TIMEOUT_S="1"):
        yield f"http://127.0.0.1:{port}"


def _all_that_comes(server: str, path: str, key: str, pause_s: float) -> bytes:
    """The bytes of an answer for a client that takes nothing for a while after its first ones."""
    parts = urlsplit(server)
    answer = b""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER_BYTES)
        connection.settimeout(20)
        connection.connect((parts.hostname, parts.port))
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())
        answer += connection.recv(1024)
        time.sleep(pause_s)
        try:
            while block := connection.recv(65536):
                answer += block
        except ConnectionResetError:
            pass
    return answer


@pytest.mark.slow
async def test_who_stops_reading_gets_an_answer_without_its_end(
    server: str, shared_client: httpx.AsyncClient, shared_engine: AsyncEngine, shared_key: str
) -> None:
    await make_masters(shared_client, cap=None)
    for number in range(_LEADS):
        actions = [action(f"Type {kind}", at="2024-04-01T10:00:00Z") for kind in range(_ACTIONS)]
        await bill(shared_client, shared_engine, Policies(), lead(f"lead-{number}", *actions))
    report_id = (await shared_client.get("/billing/reports")).json()["items"][0]["report_id"]
    path = f"/billing/reports/{report_id}?format=csv"
    whole = _all_that_comes(server, path, shared_key, 0)
    cut = _all_that_comes(server, path, shared_key, 4)
    assert b"\r\ntransfer-encoding: chunked\r\n" in whole.partition(b"\r\n\r\n")[0]
    assert whole.endswith(_LAST_CHUNK)
    assert cut.startswith(b"HTTP/1.1 200 ")
    assert b"content-length" not in cut.partition(b"\r\n\r\n")[0]
    assert len(cut) < len(whole)
    assert not cut.endswith(_LAST_CHUNK)
