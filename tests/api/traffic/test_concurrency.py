"""Large requests of one key wait for each other, so that a noisy key does not hold up another one."""

import asyncio
import gzip
import json
import threading
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

import api.routes.leads as leads_route
from api.schemas.leads import leads_from_body
from api.traffic.concurrency import LARGE_BYTES, ConcurrencyLimit
from tests.api.world import lead, make, make_masters
from tests.keys import new_key

ONE, ANOTHER = uuid4(), uuid4()
MEGABYTE = 1024 * 1024


class Requests:
    """Requests by name, each of which runs until it is ended."""

    def __init__(self) -> None:
        self.concurrency = ConcurrencyLimit()
        self.running: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def send(self, name: str, size: int, key: Any = ONE) -> None:
        async def go() -> None:
            async with self.concurrency.limit(key, size):
                self.running.append(name)
                await self._ends[name].wait()
            self.running.remove(name)

        self._ends[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(go())
        await asyncio.sleep(0.01)

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await asyncio.sleep(0.01)

    async def cancel(self, name: str) -> None:
        self._tasks[name].cancel()
        await asyncio.sleep(0.01)


async def test_requests_go_together_up_to_a_size_and_larger_ones_alone() -> None:
    requests = Requests()
    for name in "abc":
        await requests.send(name, MEGABYTE)
    assert requests.running == ["a", "b"]
    await requests.send("large", 16 * MEGABYTE)
    await requests.send("small", 1)
    assert requests.running == ["a", "b"]
    await requests.end("a")
    assert requests.running == ["b", "c"]
    await requests.end("b")
    assert requests.running == ["c"]  # `small` does not overtake: else `large` might never start
    await requests.end("c")
    assert requests.running == ["large"]
    await requests.end("large")
    assert requests.running == ["small"]
    await requests.end("small")
    assert requests.concurrency.queues == {}


async def test_keys_do_not_wait_for_each_other() -> None:
    requests = Requests()
    for number in range(5):
        await requests.send(f"noisy {number}", 16 * MEGABYTE)
    await requests.send("quiet", 2 * MEGABYTE, ANOTHER)
    assert requests.running == ["noisy 0", "quiet"]


async def test_the_largest_requests_of_several_keys_run_one_by_one_and_each_key_in_its_turn() -> None:
    requests = Requests()
    for number in range(3):
        await requests.send(f"noisy {number}", 16 * MEGABYTE)
    await requests.send("quiet", 16 * MEGABYTE, ANOTHER)
    assert requests.running == ["noisy 0"]
    await requests.end("noisy 0")
    assert requests.running == ["quiet"]
    await requests.end("quiet")
    assert requests.running == ["noisy 1"]
    await requests.cancel("noisy 2")
    await requests.end("noisy 1")
    assert (requests.running, requests.concurrency.queues) == ([], {})


@pytest.mark.parametrize("cancelled", ["first", "second", "third"])
async def test_a_cancelled_request_leaves_the_queue(cancelled: str) -> None:
    requests = Requests()
    for name in ("first", "second", "third"):
        await requests.send(name, 16 * MEGABYTE)
    await requests.cancel(cancelled)
    for name in ("first", "second", "third"):
        if name != cancelled:
            assert name in requests.running
            await requests.end(name)
    assert requests.concurrency.queues == {}


@pytest.fixture
async def quiet(app: FastAPI, engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    """A client with another key."""
    secret = await new_key(engine, "quiet", ["ingest"])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://leadger", headers=headers) as client:
        yield client


def _body(leads: int) -> bytes:
    return json.dumps([lead(str(number)) for number in range(leads)]).encode()


async def test_a_quiet_key_is_served_while_large_requests_of_a_noisy_one_wait(
    client: httpx.AsyncClient, quiet: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, reading, most = threading.Event(), [], [0]

    def slowly(body: bytes, **options: Any) -> Any:
        if len(body) >= LARGE_BYTES:
            reading.append(1)
            most[0] = max(most[0], len(reading))
            assert go_on.wait(20)
            reading.pop()
        return leads_from_body(body, **options)

    monkeypatch.setattr(leads_route, "leads_from_body", slowly)
    large = _body(10_000)
    assert 2 * len(large) > 2 * MEGABYTE

    async def chunks() -> AsyncIterator[bytes]:
        yield large

    noisy = [
        asyncio.create_task(client.post("/leads", content=large)),
        asyncio.create_task(client.post("/leads", content=chunks())),
        asyncio.create_task(client.post("/leads?partial=true", content=large)),
    ]
    await asyncio.sleep(0.3)
    assert (await quiet.post("/leads", json=lead("quiet"))).status_code == 202
    assert (await client.post("/leads", json=lead("small"))).status_code == 202
    assert len(reading) == 1
    go_on.set()
    assert [answer.status_code for answer in await asyncio.gather(*noisy)] == [202] * 3
    assert most == [1]


@pytest.fixture
async def bound(app: FastAPI, client: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose key is bound to a partner."""
    await make_masters(client)
    made = await make(client, "keys", name="bound", scopes=["ingest"], partner="acme")
    headers = {"Authorization": f"Bearer {made['key']}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://leadger", headers=headers) as client:
        yield client


@pytest.mark.parametrize("who", ["client", "bound"])
async def test_a_compressed_body_counts_with_the_size_it_unpacks_to(
    app: FastAPI, client: httpx.AsyncClient, bound: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    sender = client if who == "client" else bound
    sizes, limit = [], app.state.leadger.concurrency.limit

    def noting(key_id: Any, size: int) -> Any:
        sizes.append(size)
        return limit(key_id, size)

    monkeypatch.setattr(app.state.leadger.concurrency, "limit", noting)
    compressed = {"content-encoding": "gzip"}
    for size in (LARGE_BYTES - 1, LARGE_BYTES, MEGABYTE):
        for body, headers in ((b"?" * size, {}), (gzip.compress(b"?" * size), compressed)):
            assert (await sender.post("/leads", content=body, headers=headers)).status_code == 400
    assert sizes == [LARGE_BYTES, LARGE_BYTES, MEGABYTE, MEGABYTE]


async def test_large_requests_get_the_same_answers(client: httpx.AsyncClient) -> None:
    assert (await client.post("/leads", content=b" " * 17 * MEGABYTE)).status_code == 413
    refused = await client.post("/leads", content=b"[" + b"?" * MEGABYTE)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "#")
    accepted = await client.post("/leads", content=_body(3000))
    assert (accepted.status_code, accepted.json()["accepted"]) == (202, 3000)
