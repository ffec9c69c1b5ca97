"""SIGTERM to the worker: it finishes its batch, acknowledges the message and ends, also under load."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest
import redis

from db.access.api_keys import SCOPES
from db.core.migrate import ROOT
from db.core.settings import Settings
from db.tasks.notifications import LEADS
from scripts.dev.chaos.judgement import judge
from scripts.dev.chaos.scene import opened_scene
from scripts.dev.chaos.stack import Place
from scripts.local.first_key import first_key
from scripts.local.launcher.home import Home
from tests.builders import lead
from tests.release import Release, release
from tests.scripts.processes import wait_until

_ENDS_S = 10.0
"""A turn of the worker takes a second at most; the rest is for Celery on a busy machine."""


@pytest.fixture
def leadger(settings: Settings, tmp_path: Path) -> Iterator[Release]:
    with release(ROOT, tmp_path / "home", settings.database_url, settings.redis_url) as leadger:
        yield leadger


@asynccontextmanager
async def _batches_stopped(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """Every batch comes to a stop in the middle of its transaction during the block."""
    connection = await asyncpg.connect(settings.database_url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE customer_states IN ACCESS EXCLUSIVE MODE")
            yield connection
    finally:
        await connection.close()


async def _wait_for_a_batch(connection: asyncpg.Connection) -> None:
    deadline = time.monotonic() + 30
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'customer_states'::regclass"
    while not await connection.fetchval(waiting):
        assert time.monotonic() < deadline, "no batch came to the lock"


def _unacknowledged(settings: Settings) -> int:
    """How many messages were taken from Redis and not acknowledged."""
    with redis.Redis.from_url(settings.redis_url) as client:
        return int(client.hlen("unacked"))


async def test_the_batch_under_way_is_finished_and_acknowledged(
    leadger: Release, client: httpx.AsyncClient, settings: Settings
) -> None:
    leadger.start("worker")
    batch_url = await _accepted(client)
    async with _batches_stopped(settings) as connection:
        await _wait_for_a_batch(connection)
        worker = leadger.processes["worker"]
        worker.stop()
        await asyncio.sleep(1)
        assert worker.running
        assert (await client.get(batch_url)).json()["state"] == "waiting"
        assert _unacknowledged(settings) == 1
    wait_until(lambda: not worker.running, "the worker has ended", _ENDS_S)
    assert worker.wait() == 0
    assert (await client.get(batch_url)).json()["state"] == "done"
    assert _unacknowledged(settings) == 0


async def test_what_lost_its_message_is_done_as_soon_as_a_worker_starts(
    leadger: Release, client: httpx.AsyncClient, settings: Settings
) -> None:
    """Failed before: nobody looked until the next interval of beat, of which there is none here."""
    batch_url = await _accepted(client)
    with redis.Redis.from_url(settings.redis_url) as broker:
        await asyncio.to_thread(wait_until, lambda: broker.keys(f"{LEADS}\x06*"), "the message is sent", _ENDS_S)
        broker.flushall()
    leadger.start("worker")
    deadline = time.monotonic() + 30
    while (await client.get(batch_url)).json()["state"] != "done":
        assert time.monotonic() < deadline, "nobody looked"
        await asyncio.sleep(0.1)


@pytest.mark.slow
def test_under_load_it_ends_soon_and_another_one_goes_on(leadger: Release, settings: Settings, tmp_path: Path) -> None:
    key = first_key(settings.database_url, "tests", SCOPES)
    assert key is not None
    leadger.start("worker", "api")
    assert leadger.readiness().is_success
    place = Place(leadger.url, key, settings.database_url, settings.redis_url, Home(tmp_path))
    with opened_scene(place, times=1, seed=1, name="drain") as scene:
        with scene.load():
            scene.recover()
            began = time.monotonic()
            assert leadger.stop("worker") == {"worker": 0}
            assert time.monotonic() - began < _ENDS_S
            scene.sender.post(scene.world.leads(1))
            assert scene.waiting() > 0, "nobody decides"
            leadger.start("worker")
            scene.recover()
        scene.drain()
        judgement = judge(place, scene.world, scene.history, seed=1)
    assert (judgement.lost, judgement.billed_twice, judgement.wrong_totals, judgement.false_2xx) == (0, 0, 0, 0), (
        judgement.details
    )


async def _accepted(client: httpx.AsyncClient) -> str:
    await client.post("/api/partners", json={"external_id": "acme", "name": "Acme"})
    await client.post("/api/products", json={"external_id": "crm", "partner": "acme", "name": "CRM"})
    await client.post("/api/customers", json={"external_id": "ann", "name": "Ann", "email": "ann@example.com"})
    answer = await client.post("/leads", json=lead(customer="ann", product="crm"))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["status_url"])


_ORPHAN = """
from types import SimpleNamespace
import time
import worker.app
from billiard.pool import Worker
child = SimpleNamespace(on_ready_counter=SimpleNamespace(value=0))
began = time.monotonic()
assert Worker._ensure_messages_consumed(child, completed=1) is False
print(time.monotonic() - began)
"""


def test_a_child_whose_parent_reads_no_more_ends_soon() -> None:
    """Failed before: it waited for half a minute, until a supervisor killed both."""
    told = {"DATABASE_URL": "postgresql://none.invalid/none", "REDIS_URL": "redis://none.invalid"}
    command = [sys.executable, "-c", _ORPHAN]
    ended = subprocess.run(command, env={**os.environ, **told}, cwd=ROOT, check=True, capture_output=True, text=True)
    assert float(ended.stdout) < _ENDS_S  # without the start of Python, which takes as long on a busy machine
