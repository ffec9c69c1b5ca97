"""What a process of a worker begins with: its connections, its search for cycles, and the memory that it shares."""

import gc
import os
import subprocess
import sys
from collections.abc import Iterable

import pytest

from db.core.engine import transaction
from db.core.settings import Settings
from db.tasks.notifications import BACKGROUND, LEADS
from worker import process
from worker.runtime import Runtime


@pytest.mark.parametrize(
    ("queues", "name"),
    [
        ([BACKGROUND], "leadger-background"),
        ([LEADS, "leadger"], "leadger-worker"),
        ([LEADS, BACKGROUND], "leadger-worker"),
    ],
)
def test_connections_are_named_after_the_queues(settings: Settings, queues: Iterable[str], name: str) -> None:
    async def application_name(runtime: Runtime) -> str:
        async with transaction(runtime.engine, readonly=True) as connection:
            shown: str = await connection.fetchval("SELECT current_setting('application_name')")
            return shown

    process.consume(queues)
    process.start(settings)
    try:
        assert process.run(application_name) == name
    finally:
        process.stop()
        process.consume([])


_OF_A_BATCH = {
    "plan_cache_mode": "force_custom_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "max_parallel_workers_per_gather": "0",
}


def test_a_process_looks_rows_up_by_their_keys_alone_on_its_core_and_seldom_searches_for_cycles(
    settings: Settings,
) -> None:
    """Without it a batch of a thousand rows starts processes of the server, and a third of its time is searching."""

    async def shown(runtime: Runtime) -> dict[str, str]:
        async with transaction(runtime.engine, readonly=True) as connection:
            return {name: await connection.fetchval("SELECT current_setting($1)", name) for name in _OF_A_BATCH}

    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    process.start(settings)
    try:
        assert process.run(shown) == _OF_A_BATCH
        assert gc.get_threshold() == (50_000, 20, 100)
        assert gc.get_freeze_count() > 10_000
    finally:
        process.stop()
        gc.set_threshold(*before)


_FORKED = """
import os, resource
from types import SimpleNamespace
from celery.signals import celeryd_after_setup
from worker import process
from worker.app import app
app.loader.import_default_modules()
celeryd_after_setup.send(sender="test", instance=SimpleNamespace(app=app))
if os.fork() == 0:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    process.start()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before, flush=True)
    os._exit(0)
os.wait()
"""


def test_a_child_that_starts_shares_the_memory_of_its_parent() -> None:
    """It copied fourteen thousand pages: all that was imported, once that was searched for cycles."""
    env = {"DATABASE_URL": "postgresql://127.0.0.1/leadger", "REDIS_URL": "redis://127.0.0.1"}
    done = subprocess.run([sys.executable, "-c", _FORKED], env=os.environ | env, capture_output=True, check=True)
    assert int(done.stdout) < 9_000
