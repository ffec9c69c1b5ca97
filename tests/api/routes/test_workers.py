"""Pausing and resuming the workers by the API, and what it says of batches that are stuck."""

import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction
from db.tasks.notifications import PROCESS_LEADS
from tests.api.world import accept, check_problem, get, lead


@pytest.fixture
def published(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tasks of the messages that the API sends."""
    tasks: list[str] = []
    monkeypatch.setattr(app.state.leadger.notifier, "publish", lambda message, _: tasks.append(message.task))
    return tasks


async def _pause(client: httpx.AsyncClient, reason: str = "new rates") -> dict[str, Any]:
    response = await client.post("/api/workers/pause", json={"reason": reason})
    assert response.status_code == 200, response.text
    paused: dict[str, Any] = response.json()
    return paused


async def test_pausing_twice_changes_nothing_and_neither_does_resuming(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    assert await get(client, "/api/workers") == {"state": "running", "pause": None}
    paused = await _pause(client)
    assert paused == {
        "state": "paused",
        "pause": {"paused_at": paused["pause"]["paused_at"], "paused_by": "tests", "reason": "new rates"},
    }
    assert await _pause(client, "lunch") == paused
    assert await get(client, "/api/workers") == paused
    for _ in range(2):
        resumed = await client.post("/api/workers/resume")
        assert (resumed.status_code, resumed.json()) == (200, {"state": "running", "pause": None})
    async with transaction(engine) as connection:
        rows = await connection.fetch("SELECT paused_by, reason, resumed_by FROM pauses")
    assert [tuple(row) for row in rows] == [("tests", "new rates", "tests")]


async def test_a_pause_has_a_reason(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    bodies: list[Any] = [{}, {"reason": ""}, {"reason": "x" * 201}, {"reason": None}, {"reason": "x", "y": 1}]
    for body in bodies:
        with subtests.test(str(body)[:40]):
            check_problem(await client.post("/api/workers/pause", json=body), 400)
            assert (await get(client, "/api/workers"))["state"] == "running"


async def test_a_pause_shows_wherever_an_operator_looks_and_leads_are_accepted(client: httpx.AsyncClient) -> None:
    await _pause(client)
    await accept(client, lead())
    ready = await get(client, "/ready")
    assert ready["status"] == "degraded"
    (fault,) = ready["degraded"]
    assert fault == "paused: The workers are paused; GET /api/workers says why"  # anybody may ask this one
    assert (await get(client, "/api/workers"))["pause"]["reason"] == "new rates"
    figures = (await client.get("/metrics")).text
    assert re.search(r"^leadger_workers_paused_seconds 0\.\d+", figures, re.MULTILINE)
    await client.post("/api/workers/resume")
    assert (await get(client, "/ready"))["degraded"] == []
    assert re.search(r"^leadger_workers_paused_seconds 0\.0$", (await client.get("/metrics")).text, re.MULTILINE)


async def test_leads_that_wait_because_of_a_pause_are_no_fault_of_the_workers(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await accept(client, lead())
    async with transaction(engine) as connection:
        await connection.execute("UPDATE inbox SET received_at = received_at - interval '90 s'")
    assert [each.partition(":")[0] for each in (await get(client, "/ready"))["degraded"]] == ["worker"]
    await _pause(client)
    assert [each.partition(":")[0] for each in (await get(client, "/ready"))["degraded"]] == ["paused"]


async def test_resuming_notifies_the_workers(client: httpx.AsyncClient, published: list[str]) -> None:
    await client.post("/api/workers/resume")
    assert published == []
    await _pause(client)
    await client.post("/api/workers/resume")
    assert published == [PROCESS_LEADS]


async def test_what_is_stuck_by_pages_with_the_reason(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    path = "/api/workers/stuck"
    batches = [(await accept(client, lead(str(n)), lead(f"{n}b")))["batch_id"] for n in range(3)]
    assert await get(client, path) == {"items": [], "next": None}
    async with transaction(engine) as connection:
        await connection.execute("UPDATE inbox SET received_at = received_at - interval '90 s' WHERE id < 3")
    first, second = (await get(client, path))["items"]
    assert first == {
        "id": first["id"],
        "batch_id": batches[0],
        "part": 0,
        "leads": 2,
        "request_id": first["request_id"],
        "received_at": first["received_at"],
        "waited_s": pytest.approx(90, abs=10),
        "why": "No worker is connected to Postgres.",
    }
    assert second["batch_id"] == batches[1]
    page = await get(client, path, older_than_s=0, limit=2)
    rest = await get(client, path, older_than_s=0, limit=2, after=page["next"])
    assert [item["batch_id"] for item in page["items"] + rest["items"]] == batches
    assert rest["next"] is None
    for bad in ("-1", "soon", "nan", "1e300"):
        check_problem(await client.get(path, params={"older_than_s": bad}), 400)


async def test_retrying_what_is_stuck_notifies_the_workers(client: httpx.AsyncClient, published: list[str]) -> None:
    await accept(client, lead())
    published.clear()
    retried = await client.post("/api/workers/stuck/retry")
    assert (retried.status_code, retried.json()) == (200, {"notified_for": 0, "rung_for": 0})
    retried = await client.post("/api/workers/stuck/retry?older_than_s=0")
    assert (retried.status_code, retried.json()) == (200, {"notified_for": 1, "rung_for": 1})
    assert published == [PROCESS_LEADS] * 2
    await _pause(client)
    document = check_problem(await client.post("/api/workers/stuck/retry"), 409)
    assert document["detail"].endswith("UTC by tests: new rates. Resume them first.")
    assert published == [PROCESS_LEADS] * 2


async def test_the_document_says_what_429_means(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    refused = paths["/leads"]["post"]["responses"]["429"]
    assert refused["description"].startswith("too many leads wait to be decided")
    assert refused["headers"]["Retry-After"]["schema"] == {"type": "integer"}
    assert "too many leads" not in paths["/leads"]["get"]["responses"]["429"]["description"]
