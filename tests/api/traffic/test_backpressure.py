"""Backpressure: too many leads are refused, those of noisy keys first, at no cost, and for no longer than needed."""

import asyncio
import http.client
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from api.app import create_app
from db.core.engine import transaction
from db.core.settings import Settings
from db.intake import backlog, worker_batch
from db.ledger.policies import Policies
from scripts.local.embedded.ports import free_port
from tests.api.world import Json, api_process, check_problem, decide, get, lead, make_masters, row_counts
from tests.keys import new_key

StartApp = Callable[..., Awaitable[tuple[FastAPI, list[httpx.AsyncClient]]]]


@pytest.fixture
async def start_app(settings: Settings, engine: AsyncEngine) -> AsyncIterator[StartApp]:
    """Starts an application with limits, and gives clients with a key each."""
    async with AsyncExitStack() as stack:

        async def start(keys: int = 1, **limits: Any) -> tuple[FastAPI, list[httpx.AsyncClient]]:
            app = create_app(settings.model_copy(update=limits))
            await stack.enter_async_context(app.router.lifespan_context(app))
            clients = []
            for number in range(keys):
                secret = await new_key(engine, f"key {number}")
                transport = httpx.ASGITransport(app, raise_app_exceptions=False)
                headers = {"Authorization": f"Bearer {secret}"}
                client = httpx.AsyncClient(transport=transport, base_url="http://leadger", headers=headers)
                clients.append(await stack.enter_async_context(client))
            return app, clients

        yield start


def _leads(count: int, name: str = "n") -> list[Json]:
    return [lead(f"{name}-{number}") for number in range(count)]


async def _post(client: httpx.AsyncClient, count: int, name: str = "n") -> int:
    return (await client.post("/leads", json=_leads(count, name))).status_code


async def test_a_full_inbox_refuses_everybody_and_writes_nothing(start_app: StartApp, engine: AsyncEngine) -> None:
    _, (one, another) = await start_app(2, max_inbox_leads=10)
    assert await _post(one, 12) == 202  # the request that finds room is taken whole
    before = await row_counts(engine)
    for client in (one, another):
        refused = await client.post("/leads", json=lead("late"))
        document = check_problem(refused, 429)
        assert document["detail"] == (
            "12 leads wait to be decided, and the limit is 10: nothing was stored, try again in 5 s."
        )
        assert refused.headers["retry-after"] == "5"
        assert (await client.post("/leads?dry_run=true", json=lead("dry"))).status_code == 429
        assert (await client.post("/leads?partial=true", content=b"{nonsense")).status_code == 429
    assert await row_counts(engine) == before
    for path in ("/leads", "/leads/batches", "/health", "/billing/reports", "/leads/n-0"):
        assert (await one.get(path)).status_code == 200


async def test_from_half_on_a_noisy_key_is_refused_and_a_quiet_one_goes_on(start_app: StartApp) -> None:
    app, (noisy, quiet) = await start_app(2, max_inbox_leads=100)
    assert [await _post(noisy, 10, f"n{n}") for n in range(7)] == [202] * 5 + [429] * 2
    document = check_problem(await noisy.post("/leads", json=lead("late")), 429)
    assert document["detail"] == (
        "50 leads wait to be decided, and from 50 on keys that sent more than their share have to wait: "
        "nothing was stored, try again in 5 s."
    )
    for number in range(10):
        assert await _post(quiet, 1, f"q{number}") == 202
        assert await _post(noisy, 1, "late") == 429
    figures = (await noisy.get("/metrics")).text
    assert 'leadger_requests_refused_total{reason="share"} 13.0' in figures
    assert 'leadger_requests_refused_total{reason="full"} 0.0' in figures
    assert app.state.leadger.backpressure.refused.total() == 13


async def test_a_key_alone_leaves_half_of_the_inbox_to_those_who_come_later(start_app: StartApp) -> None:
    _, (noisy, late) = await start_app(2, max_inbox_leads=40)
    while await _post(noisy, 1) == 202:
        pass
    assert (await get(late, "/leads/batches", limit=500))["items"][19:] != []
    assert len((await get(late, "/leads/batches", limit=500))["items"]) == 20
    assert await _post(late, 5, "late") == 202


async def test_requests_that_came_in_together_do_not_overfill_it(start_app: StartApp, engine: AsyncEngine) -> None:
    """All of them find an empty inbox, and then their bodies arrive."""
    _, (client,) = await start_app(1, max_inbox_leads=20)
    go_on = asyncio.Event()

    async def late(number: int) -> AsyncIterator[bytes]:
        await go_on.wait()
        yield json.dumps(lead(f"together-{number}")).encode()

    sent = [asyncio.create_task(client.post("/leads", content=late(number))) for number in range(50)]
    await asyncio.sleep(0.3)
    go_on.set()
    answers = [answer.status_code for answer in await asyncio.gather(*sent)]
    assert sorted(answers) == [202] * 10 + [429] * 40
    async with transaction(engine) as connection:
        assert await connection.fetchval("SELECT sum(lead_count) FROM inbox") == 10


async def test_leads_that_wait_too_long_refuse_everybody_and_the_noisy_first(
    start_app: StartApp, engine: AsyncEngine
) -> None:
    app, (noisy, quiet) = await start_app(2, max_inbox_age_s=100.0)
    assert await _post(noisy, 20) == 202
    async with transaction(engine) as connection:
        await connection.execute("UPDATE inbox SET received_at = received_at - interval '60 seconds'")
    await app.state.leadger.backpressure.measure()
    document = check_problem(await noisy.post("/leads", json=lead("late")), 429)
    assert document["detail"] == (
        "Leads have waited for 60 s, and from 50 s on keys that sent more than their share have to wait: "
        "nothing was stored, try again in 5 s."
    )
    assert await _post(quiet, 1, "q") == 202
    async with transaction(engine) as connection:
        await connection.execute("UPDATE inbox SET received_at = received_at - interval '60 seconds'")
    await app.state.leadger.backpressure.measure()
    for client in (noisy, quiet):
        document = check_problem(await client.post("/leads", json=lead("late")), 429)
        assert document["detail"] == (
            "Leads have waited for 120 s, and the limit is 100 s: nothing was stored, try again in 5 s."
        )
    (fault,) = [each for each in (await get(quiet, "/ready"))["degraded"] if each.startswith("backpressure")]
    assert fault == "backpressure: Leads have waited for 120 s, and the limit is 100 s"


async def test_it_ends_once_the_waiting_leads_are_decided(
    start_app: StartApp, engine: AsyncEngine, policies: Policies
) -> None:
    _, (client,) = await start_app(1, max_inbox_leads=10)
    await make_masters(client)
    assert await _post(client, 10) == 202
    assert await _post(client, 1, "late") == 429
    ready = await get(client, "/ready")
    assert ready == {
        "status": "degraded",
        "degraded": ["backpressure: 10 leads wait to be decided, and the limit is 10"],
    }
    await decide(engine, policies)
    deadline = time.monotonic() + 5  # what Retry-After says
    while await _post(client, 1, "late") == 429:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert (await get(client, "/ready"))["degraded"] == []


async def test_what_others_accepted_is_seen_within_a_second(start_app: StartApp) -> None:
    _, (one,) = await start_app(1, max_inbox_leads=10)
    _, (another,) = await start_app(1, max_inbox_leads=10)
    assert await _post(one, 10) == 202
    await asyncio.sleep(1.5)
    assert await _post(another, 1, "late") == 429


async def test_postgres_is_not_asked_for_each_request(start_app: StartApp, monkeypatch: pytest.MonkeyPatch) -> None:
    measured, count = [], backlog.leads

    async def counting(*arguments: Any) -> int:
        measured.append(time.monotonic())
        return await count(*arguments)

    monkeypatch.setattr(backlog, "leads", counting)
    _, (client,) = await start_app(1, max_inbox_leads=100)
    began = time.monotonic()
    for number in range(150):
        assert await _post(client, 1, str(number)) in (202, 429)
    assert 1 <= len(measured) <= time.monotonic() - began + 1


async def test_a_measurement_that_takes_long_is_made_less_often(
    start_app: StartApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []

    async def slowly(*_: Any) -> int:
        measured.append(time.monotonic())
        await asyncio.sleep(0.3)
        return 0

    monkeypatch.setattr(backlog, "leads", slowly)
    await start_app(1)
    await asyncio.sleep(2.5)
    assert len(measured) == 1


async def test_without_limits_nothing_is_measured_and_nobody_refused(
    start_app: StartApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: Any) -> int:
        raise AssertionError

    monkeypatch.setattr(backlog, "leads", never)
    app, (client,) = await start_app(1, max_inbox_leads=0, max_inbox_age_s=0.0)
    assert [await _post(client, 500, str(n)) for n in range(3)] == [202] * 3
    assert app.state.leadger.backpressure.level().message() == ""


async def test_an_inbox_that_cannot_be_measured_refuses_nobody(start_app: StartApp, engine: AsyncEngine) -> None:
    app, (client,) = await start_app(1, max_inbox_leads=10)
    assert await _post(client, 10) == 202
    async with transaction(engine) as connection:
        await connection.execute("ALTER TABLE pauses RENAME TO away")
    await app.state.leadger.backpressure.measure()
    assert await _post(client, 3, "more") == 202
    async with transaction(engine) as connection:
        await connection.execute("ALTER TABLE away RENAME TO pauses")
    await app.state.leadger.backpressure.measure()
    assert await _post(client, 1, "late") == 429


async def test_leads_that_were_refused_are_accepted_when_they_come_again(
    start_app: StartApp, engine: AsyncEngine, policies: Policies
) -> None:
    app, (client,) = await start_app(1, max_inbox_leads=2)
    await make_masters(client)
    assert await _post(client, 2) == 202
    assert await _post(client, 1, "again") == 429
    assert await worker_batch.process_inbox(engine, policies, 1000)
    await app.state.leadger.backpressure.measure()
    assert await _post(client, 1, "again") == 202
    assert (await get(client, "/leads/again-0"))["state"] == "waiting"


async def test_the_body_of_a_refused_request_is_dropped_unread(start_app: StartApp) -> None:
    app, (client,) = await start_app(1, max_inbox_leads=1)
    assert await _post(client, 1) == 202
    for headers, parts_read in (({}, 200), ({"Expect": "100-continue"}, 0)):
        read: list[int] = []

        async def parts(read: list[int] = read) -> AsyncIterator[bytes]:
            for number in range(200):
                read.append(number)
                yield b"\xff" * 65536  # nothing that could be decoded

        request = client.build_request("POST", "/leads", content=parts(), headers=headers)
        assert (await client.send(request)).status_code == 429
        assert len(read) == parts_read
    assert app.state.leadger.concurrency.queues == {}


@pytest.mark.parametrize("limit", ["LEADGER_MAX_INBOX_LEADS", "LEADGER_RATE_LIMIT_PER_S"])
def test_a_client_that_writes_first_and_reads_then_gets_the_answer(
    settings: Settings, shared_settings: Settings, shared_key: str, limit: str
) -> None:
    """Without reading on, the process closes the connection, and such a client sees a broken pipe."""
    port = free_port()
    headers = {"Authorization": f"Bearer {shared_key}", "Content-Type": "application/json"}
    with api_process(shared_settings, port, **{limit: "1" if limit.endswith("LEADS") else "0.01"}):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        statuses = []
        for body in (json.dumps(lead()).encode(), b" " * 16_000_000, b" " * 100, b"x" * 30_000_000):
            connection.request("POST", "/leads", body=body, headers=headers)
            answer = connection.getresponse()
            statuses.append(answer.status)
            document = json.loads(answer.read())
        assert statuses == [202, 429, 429, 429]
        assert document["status"] == 429
        assert urlsplit(document["instance"]).path == "/leads"
        connection.close()
