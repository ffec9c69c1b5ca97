"""Connections say what kind of worker they belong to."""

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
