"""What a process of a worker begins with: the names of its connections, and the memory that it shares."""

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
