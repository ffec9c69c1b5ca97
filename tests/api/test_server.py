"""The API in a process of its own: bodies of any size and requests that no library would send."""

import gzip
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from scripts.local.processes.keeper import descendants
from scripts.local.processes.process import Process
from tests.api.world import action, check_problem, lead, most_memory
from tests.keys import new_key

MEGABYTE = 1024 * 1024
JSON = {"content-type": "application/json"}


@pytest.fixture
def server(shared_server: tuple[str, Process], shared_key: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {shared_key}"}
    with httpx.Client(base_url=shared_server[0], headers=headers, timeout=60) as client:
        yield client


def _megabytes(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b" " * MEGABYTE


def test_large_bodies_are_refused_and_the_process_stays_small(
    server: httpx.Client, shared_server: tuple[str, Process]
) -> None:
    assert server.post("/leads", json=lead("before")).status_code == 202
    pids = set(descendants(shared_server[1].pid))
    small = most_memory(shared_server[1])
    length = {"content-length": str(200 * MEGABYTE)}
    check_problem(server.post("/leads", content=_megabytes(200), headers=JSON | length), 413)
    check_problem(server.post("/leads", content=_megabytes(200), headers=JSON), 413)
    assert most_memory(shared_server[1]) - small < 80 * MEGABYTE
    bomb = gzip.compress(b" " * 500_000_000)
    assert len(bomb) < MEGABYTE
    packed = JSON | {"content-encoding": "gzip"}
    check_problem(server.post("/leads", content=bomb, headers=packed), 413)
    check_problem(server.post("/leads", content=gzip.compress(b"") * 800_000, headers=packed), 400)
    for bad in (b"[" * 10_000_000, b'{"a":' * 3_000_000):
        check_problem(server.post("/leads", content=bad, headers=JSON), 400)
    lines = {"content-type": "application/x-ndjson"}
    check_problem(server.post("/leads", content=b"?\n" * 5_000_000, headers=lines), 413)
    check_problem(server.post("/api/partners", content=_megabytes(200), headers=JSON), 413)
    assert most_memory(shared_server[1]) < 250 * MEGABYTE
    assert set(descendants(shared_server[1].pid)) == pids
    assert server.post("/leads", json=lead("after")).status_code == 202
    batches = server.get("/leads/batches").json()["items"]
    assert [batch["accepted"] for batch in batches] == [1, 1]


def test_many_small_values_take_bounded_memory(server: httpx.Client, shared_server: tuple[str, Process]) -> None:
    assert server.post("/leads", json=lead("warm")).status_code == 202
    before = most_memory(shared_server[1])
    bomb = gzip.compress(b"[" + b"{}," * 5_590_000 + b"{}]", 9)
    assert len(bomb) < 20_000
    for _ in range(3):
        check_problem(server.post("/leads", content=bomb, headers=JSON | {"content-encoding": "gzip"}), 413)
    assert most_memory(shared_server[1]) - before <= 80 * MEGABYTE
    for bad in (
        b"[" + b"{}," * 5_000_000 + b"{}]",
        b"[" + b"[]," * 5_000_000 + b"[]]",
        b"[" + b"1," * 7_000_000 + b"1]",
    ):
        check_problem(server.post("/leads", content=bad, headers=JSON), 413)
    assert most_memory(shared_server[1]) < 250 * MEGABYTE
    assert server.get("/leads").status_code == 200


@pytest.fixture
async def four_keys(shared_engine: AsyncEngine) -> list[str]:
    return [await new_key(shared_engine, f"key {number}", ["ingest"]) for number in range(4)]


def test_four_of_the_largest_bodies_at_once_take_bounded_memory(
    server: httpx.Client, shared_server: tuple[str, Process], four_keys: list[str]
) -> None:
    def post(key: str) -> httpx.Response:
        actions = [action(f"Type {number % 7}", at=f"2024-04-01T10:{number:02d}:00Z") for number in range(20)]
        body = json.dumps([lead(f"{key}-{number}", *actions) for number in range(7800)])
        assert 15_000_000 < len(body) < 16 * MEGABYTE
        return httpx.post(f"{shared_server[0]}/leads", content=body, headers=_headers(key), timeout=120)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(post, four_keys))
    assert {answer.status_code for answer in answers} <= {202, 429}
    assert [answer.status_code for answer in answers].count(202) >= 2
    assert {answer.headers.get("retry-after") for answer in answers if answer.status_code == 429} <= {"1"}
    assert most_memory(shared_server[1]) < 250 * MEGABYTE
    accepted = [batch["accepted"] for batch in server.get("/leads/batches").json()["items"]]
    assert accepted.count(7800) == [answer.status_code for answer in answers].count(202)


def _headers(key: str) -> dict[str, str]:
    return JSON | {"authorization": f"Bearer {key}"}


PATHS = [
    "/leads/%ff",
    "/leads/%00",
    "/leads/a%00b",
    "/leads/%ED%A0%80",
    "/leads/%",
    "/leads/%zz",
    "/leads/" + "x" * 201,
    "/leads/" + "x" * 5000,
    "/leads/%0a",
    "/leads/",
    "/leads//",
    "/leads/..",
    "/leads/%2e%2e/x",
    "/leads/batches/%00",
    "/api/partners/%00",
    "/api/partners/%ff",
    "/api/partners/%00/terms",
    "/api/partners/a/periods",
    "/api/products/%00",
    "/api/customers/%00",
    "/api/customers/%ff%fe",
    "/api/rate-cards/99999999999999999999999",
    "/api/rate-cards/-99999999999999999999999",
    "/api/rate-cards/" + "9" * 5000,
    "/api/rate-cards/x",
    "/api/actions/%00",
    "/api/tasks/x",
    "/billing/reports/%00",
    "/billing/reports/00000000-0000-0000-0000-000000000000",
    "/billing/reports/00000000-0000-0000-0000-000000000000?version=99999999999999",
    "/leads?lead_type=%00",
    "/leads?lead_type=%ff%00",
    "/leads?customer=%00",
    "/leads?outcome=%00",
    "/leads?after=%00",
    "/leads?after=AAAA",
    "/leads?after=WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzE0OjAwIiwiMDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwIl0",
    "/leads?after=WyIyMDI0LTAxLTAxVDAwOjAwOjAwIiwiMDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwIl0",
    "/leads?start_date=0001-01-01T00:00:00%2B14:00",
    "/leads?start_date=1700000000",
    "/leads?limit=0",
    "/leads?limit=999999999999999999999",
    "/leads/batches?after=OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk",
    "/leads/batches?after=LTE",
    "/api/partners?after=IlwwIg",
    "/api/partners?after=IlxuXHUwMDAwIg",
    "/api/products?after=IlxuXHUwMDAwIg",
    "/api/customers?after=IlxuXHUwMDAwIg",
    "/api/quarantine?reason=%00",
    "/api/quarantine?after=OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk",
    "/api/partners/x?period=0000-01",
    "/billing/reports?period=1899-12",
    "/billing/reports?start_date=0",
    "/billing/reports?after=Wzk5OTk5OTk5OTk5LCIwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDAiXQ",
    "/billing/reports?partner=%00",
    "/billing/reports?customer=" + "x" * 201,
    "/nothing",
    "/docs/assets/../../../pyproject.toml",
    "/docs/assets/%2e%2e/%2e%2e/pyproject.toml",
    "/docs/assets/%00",
    "/%ff?%ff=%ff",
]


def _raw(url: str, request: bytes) -> tuple[int, bytes]:
    """The status and the answer to bytes as they are."""
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(request)
        answer = b""
        while block := connection.recv(65536):
            answer += block
    return int(answer.split(b" ")[1]), answer.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
def test_no_path_or_query_is_a_server_error(shared_server: tuple[str, Process], shared_key: str, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {shared_key}\r\nConnection: close\r\n\r\n"
    status, body = _raw(shared_server[0], request.encode())
    assert status in (200, 400, 404), (status, body)
    if status != 200 and body:
        assert json.loads(body)["status"] == status


@pytest.mark.parametrize(
    "path", [b"/leads/\xff", b"/leads/\xc3\xa4", b"/leads?lead_type=\xff\xfe", b"/leads/" + b"x" * 100_000]
)
def test_raw_bytes_in_a_path_are_no_server_error(
    shared_server: tuple[str, Process], shared_key: str, path: bytes
) -> None:
    head = b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    status, _ = _raw(shared_server[0], head + f"Authorization: Bearer {shared_key}\r\n\r\n".encode())
    assert status in (200, 400, 404, 414, 431)


@pytest.mark.parametrize(
    "header", [b"Authorization: Bearer \xff\xfe", b"Authorization: Bearer", b"Authorization: \xc3\xa4", b"X: y"]
)
def test_a_strange_key_is_no_key(shared_server: tuple[str, Process], header: bytes) -> None:
    status, body = _raw(
        shared_server[0], b"GET /leads HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + header + b"\r\n\r\n"
    )
    assert status == 401
    assert json.loads(body)["status"] == 401


@pytest.mark.parametrize("path", [b"/leads", b"/leads?partial=true", b"/api/partners"])
@pytest.mark.parametrize(
    "body", [b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"Content-Length: 100\r\n\r\n{"], ids=["chunks", "dropped"]
)
def test_an_upload_that_breaks_off_is_no_fault_of_ours(
    shared_server: tuple[str, Process], shared_key: str, path: bytes, body: bytes
) -> None:
    request = b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer "
    parts = urlsplit(shared_server[0])
    assert parts.hostname
    assert parts.port
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(request + shared_key.encode() + b"\r\n" + body)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65536)
    assert not answer or answer.startswith(b"HTTP/1.1 400")
