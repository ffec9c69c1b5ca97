"""Where the API's time goes: the application in this process, without an HTTP server in front of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import uvloop
from fastapi import FastAPI

from api.app import create_app
from scripts.dev.bench.bench import Bench
from scripts.dev.bench.profiling.clock import measuring
from scripts.dev.bench.profiling.sampler import sampling
from scripts.dev.bench.profiling.tables import sample_tables, stage_table, statement_table
from scripts.dev.bench.servers import Database
from scripts.dev.bench.traffic import Traffic
from scripts.dev.bench.world import World

_BATCH = 500
_AT_ONCE = 64
_FUNCTIONS = (
    "api.body.json_from_body",
    "api.schemas.leads.leads_from_body",
    "api.access.authentication.AuthenticationMiddleware.__call__",
    "api.request_context.RequestContextMiddleware.__call__",
    "api.routes.leads.post_leads",
    "api.body.read_body",
    "api.wire.json_response",
    "db.intake.group_commit.InboxWriter.write",
    "db.tasks.notifications.Notifier.notify",
)


def profile_accept(bench: Bench) -> str:
    """Microseconds per lead of batches by stage, and per request of single leads by function."""
    world = World(customers=bench.sizes.customers)
    batches = Traffic("a", world, max(bench.sizes.batched_leads // 5, _BATCH), _BATCH)
    singles = Traffic("b", world, bench.sizes.singles, 1)
    return f"{uvloop.run(_batches(bench, batches))}\n\n{uvloop.run(_singles(bench, singles))}"


async def _batches(bench: Bench, traffic: Traffic) -> str:
    async with _app(bench, traffic) as (app, database):
        bodies = list(traffic.bodies())
        await _post(app, database.key, bodies[0])
        with measuring("db.", _FUNCTIONS) as (clock, missing):
            started = time.perf_counter()
            for body in bodies:
                await _post(app, database.key, body)
            taken_s = time.perf_counter() - started
    head = (
        f"Requests of {_BATCH} leads, one after the other: {taken_s * 1e6 / traffic.leads:.1f} µs per lead, "
        f"{traffic.leads / taken_s:,.0f} leads/s without an HTTP server."
    )
    gone = f"Not found any more: {', '.join(missing)}." if missing else ""
    tables = (
        stage_table(clock, traffic.leads, "lead", taken_s),
        statement_table(clock, {}, traffic.leads, "lead", len(bodies)),
    )
    return "\n\n".join(part for part in (head, gone, *tables) if part)


async def _singles(bench: Bench, traffic: Traffic) -> str:
    async with _app(bench, traffic) as (app, database):
        bodies = iter(list(traffic.bodies()))
        with sampling() as samples:
            await asyncio.gather(*(_post_all(app, database.key, bodies) for _ in range(_AT_ONCE)))
    head = f"Requests of one lead, {_AT_ONCE} at once, without an HTTP server."
    return f"{head}\n\n{sample_tables(samples, traffic.leads, 'request')}"


@asynccontextmanager
async def _app(bench: Bench, traffic: Traffic) -> AsyncIterator[tuple[FastAPI, Database]]:
    database = await asyncio.to_thread(lambda: bench.servers.database(traffic.world))
    app = create_app(bench.servers.settings(database.url))
    async with app.router.lifespan_context(app):
        yield app, database
    await asyncio.to_thread(lambda: bench.servers.drop(database))


async def _post_all(app: FastAPI, key: str, bodies: Iterable[bytes]) -> None:
    for body in bodies:
        await _post(app, key, body)


async def _post(app: Callable[..., Any], key: str, body: bytes) -> None:
    """One request as an HTTP server hands it over."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/leads",
        "raw_path": b"/leads",
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"host", b"127.0.0.1"),
            (b"authorization", f"Bearer {key}".encode()),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    if sent[0]["status"] != 202:
        raise RuntimeError(f"the application answered {sent[0]['status']}")
