"""Runs the control under the same load on the same servers."""

import asyncio
import sys
import time
from pathlib import Path

import asyncpg
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.schema import CreateSchema

from scripts.dev.bench.bench import Bench
from scripts.dev.bench.naive.models import Base
from scripts.dev.bench.processes import plain_server
from scripts.dev.bench.servers import Database, running
from scripts.dev.bench.traffic import Traffic
from scripts.local.processes.process import Command

_ROOT = Path(__file__).parents[4]
_LONGEST_S = 20.0


def leads_per_s(bench: Bench, traffic: Traffic) -> float:
    """Leads a second from the first arrival to the last commit."""
    servers = bench.servers
    database = servers.database(traffic.world)
    asyncio.run(_make_tables(database))
    servers.flush_redis()
    env = {"DATABASE_URL": database.url, "REDIS_URL": servers.redis_url}
    words = ("-m", "celery", "-A", "scripts.dev.bench.naive.tasks", "worker")
    options = ("--concurrency", str(bench.workers), "--loglevel", "ERROR", "--without-mingle", "--without-gossip")
    worker = Command((sys.executable, *words, *options), env=env, cwd=_ROOT)
    with (
        plain_server(servers, "scripts.dev.bench.naive.api:app", **env) as port,
        running(worker, lambda: True, servers.home / "naive.log"),
    ):
        time.sleep(3.0)  # its children connect meanwhile, as ours have when a load begins
        result = bench.send(port, "", traffic, bench.sizes.offered_leads_per_s, backlog=100_000)
        billed, end = asyncio.run(_billed(database.url, len(result.acknowledged) * traffic.batch))
    servers.drop(database)
    return billed / (end - result.started_at)


async def _make_tables(database: Database) -> None:
    engine = create_async_engine(database.url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.execute(CreateSchema("naive"))
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()
    plain = await asyncpg.connect(database.url)
    await plain.execute("INSERT INTO naive.customers SELECT id, external_id FROM customers")
    await plain.close()


async def _billed(url: str, leads: int) -> tuple[int, float]:
    """How many leads were billed when all were, or when the time was up, and the instant of the last commit."""
    connection = await asyncpg.connect(url)
    deadline = time.monotonic() + _LONGEST_S
    have = 0
    while have < leads and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
        have = await connection.fetchval("SELECT count(*) FROM naive.leads")
    row = await connection.fetchrow(
        "SELECT count(*), extract(epoch FROM max(pg_xact_commit_timestamp(xmin)))::float8 FROM naive.leads"
    )
    await connection.close()
    assert row is not None
    return row[0], row[1]
