"""What the tests of the API build and look at."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction
from db.core.settings import Settings
from db.core.tables import metadata
from db.intake import worker_batch
from db.ledger.policies import Policies
from scripts.local.launcher import commands
from scripts.local.processes.keeper import descendants
from scripts.local.processes.process import Process
from worker.runtime import Runtime
from worker.task_kinds import RUNNER

Json = dict[str, Any]


def action(action_type: str = "Click", level: str = "High", at: str = "2024-04-01T10:00:00Z") -> Json:
    return {"action_type": action_type, "engagement_level": level, "timestamp": at}


def lead(lead_id: str = "lead-1", *actions: Json, **fields: Any) -> Json:
    return {
        "lead_id": lead_id,
        "customer_id": "anna",
        "product_id": "widget",
        "lead_type": "Website Visit",
        "actions": list(actions) or [action()],
    } | fields


async def make(client: httpx.AsyncClient, kind: str, **fields: Any) -> Json:
    """Create a master that is not there yet."""
    response = await client.post(f"/api/{kind}", json=fields)
    assert response.status_code == 201, response.text
    return cast(Json, response.json())


async def make_masters(client: httpx.AsyncClient, **terms: Any) -> None:
    """Partner acme with the product widget, and the customer anna."""
    await make(client, "partners", external_id="acme", name="Acme", **terms)
    await make(client, "products", external_id="widget", partner="acme", name="Widget")
    await make(client, "customers", external_id="anna", name="Anna", email="anna@example.com")


async def make_masters_once(client: httpx.AsyncClient) -> None:
    """The same for tests that share an application."""
    if (await client.get("/api/customers/anna")).status_code == 404:
        await make_masters(client)


async def accept(client: httpx.AsyncClient, *leads: Json) -> Json:
    """Post leads that must be accepted; the answer."""
    response = await client.post("/leads", json=list(leads))
    assert response.status_code == 202, response.text
    return cast(Json, response.json())


async def decide(engine: AsyncEngine, policies: Policies) -> None:
    """Decide all waiting leads, as a worker does on a notification."""
    while await worker_batch.process_inbox(engine, policies, 1000):
        pass


async def bill(client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies, *leads: Json) -> Json:
    """Post leads, decide them, and return the batch's status."""
    status_url = (await accept(client, *leads))["status_url"]
    await decide(engine, policies)
    return await get(client, status_url)


async def get(client: httpx.AsyncClient, path: str, **query: Any) -> Json:
    response = await client.get(path, params=query)
    assert response.status_code == 200, response.text
    return cast(Json, response.json())


async def get_all(client: httpx.AsyncClient, path: str, **query: Any) -> list[Json]:
    """The items of all pages."""
    items: list[Json] = []
    page: Json = {"next": None}
    while True:
        page = await get(client, path, **query, **({"after": page["next"]} if page["next"] else {}))
        items += page["items"]
        if page["next"] is None:
            return items


async def finish_tasks(engine: AsyncEngine, policies: Policies, settings: Settings) -> None:
    """Run the background tasks that wait, as a worker would."""
    runtime = Runtime(settings, engine, policies)
    async with transaction(engine) as connection:
        rows = await connection.fetch(
            "SELECT id FROM tasks WHERE finished_at IS NULL AND parent_id IS NULL ORDER BY created_at"
        )
    for task_id in (row["id"] for row in rows):
        await asyncio.wait_for(RUNNER.run(runtime, task_id), timeout=30)


@contextmanager
def api_process(settings: Settings, port: int, **variables: str) -> Iterator[Process]:
    """The API as it runs in production, in a process of its own, until the end of the block."""
    env = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "LEADGER_HOME": str(settings.home),
        "LOG_LEVEL": "WARNING",
    } | variables
    process = Process(commands.api(port, env))
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/health").raise_for_status()
                break
            except httpx.TransportError:
                assert process.running
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield process
    finally:
        process.stop()
        process.wait()


def most_memory(process: Process, kind: str = "VmHWM") -> int:
    """The most memory that a process of the API ever held, in bytes; with "VmRSS" what it holds now."""
    held = [
        int(line.split()[1]) * 1024
        for pid in descendants(process.pid)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith(kind)
    ]
    return max(held)


async def row_counts(engine: AsyncEngine) -> dict[str, int]:
    """How many rows each table holds."""
    async with transaction(engine) as connection:
        return {
            table: await connection.fetchval(f'SELECT count(*) FROM "{table}"') for table in sorted(metadata.tables)
        }


def check_problem(response: httpx.Response, status: int) -> Json:
    """The problem document of a refusal, with the members that RFC 9457 and we ask for."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document = cast(Json, response.json())
    assert document["status"] == status
    assert document["type"] == "about:blank"
    assert document["title"]
    assert document["detail"]
    assert document["instance"] == response.request.url.raw_path.decode().partition("?")[0]
    assert document["request_id"] == response.headers["x-request-id"]
    return document
