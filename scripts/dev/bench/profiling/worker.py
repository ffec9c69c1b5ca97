"""Where a worker's time goes: one worker in this process, nothing else running but Postgres.

Two runs over the same leads on fresh databases, because one way of measuring disturbs the other: with a clock around
every stage and statement, and with a sampler.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import httpx
import uvloop

from api.app import create_app
from db.core.engine import create_engine
from db.intake.worker_batch import process_inbox
from db.ledger.policies import Policies
from scripts.dev.bench.bench import Bench
from scripts.dev.bench.check import check
from scripts.dev.bench.load import Result
from scripts.dev.bench.profiling import server_time
from scripts.dev.bench.profiling.clock import measuring
from scripts.dev.bench.profiling.sampler import sampling
from scripts.dev.bench.profiling.tables import sample_tables, stage_table, statement_table
from scripts.dev.bench.servers import Database
from scripts.dev.bench.traffic import Traffic
from scripts.dev.bench.usage import cpu_s, of_folder, used_s
from scripts.dev.bench.world import World

_BATCH = 100
_SHARE = 3
_LEAST_LEADS = 4_000  # the first transaction, of a thousand, only warms up
_FUNCTIONS = (
    "db.intake.payloads.leads_from_payload",
    "db.intake.arrival.Arrival.__post_init__",
    "db.intake.matching.merge",
    "db.intake.matching.open_cases",
    "db.intake.request_result.result_from_arrivals",
    "db.ledger.case.Case.decide",
    "db.ledger.verdicts._action_row",
    "db.ledger.counting._lead_changes",
    "billing.affected_range.affected_range",
    "billing.affected_range.affected_keys",
    "billing.leads.identified",
)


def profile_worker(bench: Bench) -> str:
    """Microseconds per action by stage and by statement."""
    traffic = Traffic(
        "w", World(customers=bench.sizes.customers), max(bench.sizes.leads // _SHARE, _LEAST_LEADS), _BATCH
    )
    actions = traffic.leads * traffic.actions
    stages = uvloop.run(_with_clock(bench, traffic, actions))
    sampled = uvloop.run(_with_sampler(bench, traffic, actions))
    return f"{stages}\n\n{sampled}"


async def _with_clock(bench: Bench, traffic: Traffic, actions: int) -> str:
    async with _filled(bench, traffic) as database:
        plain = await asyncpg.connect(database.url)
        async with _worker(bench, database) as work:
            await work()  # connects, prepares statements, fills caches
            warm = await plain.fetchval("SELECT count(*) FROM actions")
            await server_time.reset(plain)
            with measuring("db.", _FUNCTIONS) as (clock, missing):
                postgres = of_folder(bench.servers.postgres_folder)
                started, began_s, before = time.perf_counter(), time.process_time(), cpu_s(postgres)
                batches = 0
                while await work():
                    batches += 1
                taken_s, ours_s = time.perf_counter() - started, time.process_time() - began_s
                postgres_s = used_s(before, cpu_s(postgres))
        actions -= warm
        server = await server_time.read(plain)
        await plain.close()
    head = (
        f"{actions:,} actions in {batches} transactions, one process: {taken_s * 1e6 / actions:.1f} µs per action, "
        f"{actions / traffic.actions / taken_s:,.0f} leads/s. CPU per action: {ours_s * 1e6 / actions:.1f} µs here, "
        f"{postgres_s * 1e6 / actions:.1f} µs in all processes of Postgres. The clock itself costs a few per cent."
    )
    gone = f"Not found any more: {', '.join(missing)}." if missing else ""
    tables = stage_table(clock, actions, "action", taken_s), statement_table(clock, server, actions, "action", batches)
    return "\n\n".join(part for part in (head, gone, *tables) if part)


async def _with_sampler(bench: Bench, traffic: Traffic, actions: int) -> str:
    async with _filled(bench, traffic) as database, _worker(bench, database) as work:
        await work()
        actions -= await _decided(database)
        with sampling() as samples:
            while await work():
                pass
    return sample_tables(samples, actions, "action")


async def _decided(database: Database) -> int:
    connection = await asyncpg.connect(database.url)
    try:
        count: int = await connection.fetchval("SELECT count(*) FROM actions")
        return count
    finally:
        await connection.close()


@asynccontextmanager
async def _worker(bench: Bench, database: Database) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """What decides one batch and returns how many requests that settled."""
    settings = bench.servers.settings(database.url)
    engine = create_engine(settings, "bench", pool_size=3, for_batches=True)
    policies = Policies()
    yield lambda: process_inbox(engine, policies, settings.task_max_leads)
    await engine.dispose()


@asynccontextmanager
async def _filled(bench: Bench, traffic: Traffic) -> AsyncIterator[Database]:
    """A database whose inbox holds the traffic; at the end the oracle checks what became of it."""
    database = await asyncio.to_thread(lambda: bench.servers.database(traffic.world))
    await asyncio.to_thread(lambda: server_time.switch_on(bench.servers, database))
    app = create_app(bench.servers.settings(database.url))
    headers = {"Authorization": f"Bearer {database.key}", "Content-Type": "application/json"}
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://bench", headers=headers) as client:
            for body in traffic.bodies():
                (await client.post("/leads", content=body)).raise_for_status()
    yield database
    loads = [(traffic, all_acknowledged(traffic))]
    checked = await asyncio.to_thread(
        lambda: check(bench.servers.home, database.url, loads, bench.sizes.oracle_actions)
    )
    bench.say(f"profile: the oracle agrees: {checked}")
    await asyncio.to_thread(lambda: bench.servers.drop(database))


def all_acknowledged(traffic: Traffic) -> Result:
    """What a load would have said after every request was accepted."""
    numbers = list(range(traffic.requests))
    return Result(0.0, 0.0, len(numbers), 0, 0, {"202": len(numbers)}, numbers, [], [], [], [], 0.0)
