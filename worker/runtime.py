"""One event loop and one engine per worker process, made when the child starts and closed when it ends."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import uvloop
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import create_engine
from db.core.garbage import tune_garbage_collector
from db.core.settings import Settings
from db.ledger.policies import Policies
from db.telemetry import tracing
from db.telemetry.traced_connection import connection_class

Result = TypeVar("Result")

_CONNECTIONS = 5
"""A rebuild and its share are locked, a part is judged, and verdicts are counted under another lock."""


class Runtime:
    """What the tasks of one process share."""

    def __init__(self, settings: Settings) -> None:
        tracing.start("leadger-worker")
        tune_garbage_collector()
        self.settings = settings
        self.policies = Policies()
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.engine: AsyncEngine = create_engine(
            settings,
            "leadger-worker",
            pool_size=_CONNECTIONS,
            for_batches=True,
            connection_class=connection_class(),
        )

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a task's coroutine on the process's loop, with the task's trace and what is bound to its log."""
        return self._runner.run(work, context=contextvars.copy_context())

    def close(self) -> None:
        """Close the connections and the loop."""
        self._runner.run(self.engine.dispose())
        self._runner.close()
        tracing.stop()


_runtime: Runtime | None = None


def start(settings: Settings | None = None) -> None:
    """Make the runtime of this process; Celery calls it when a child starts."""
    global _runtime  # one per process is the point of this module
    _runtime = Runtime(settings or Settings())


def stop() -> None:
    """Close the runtime of this process."""
    global _runtime
    if _runtime is not None:
        _runtime.close()
        _runtime = None


def run(work: Callable[[Runtime], Awaitable[Result]]) -> Result:
    """Run `work` with the runtime of this process."""
    if _runtime is None:
        start()
    assert _runtime is not None
    return _runtime.run(_call(work, _runtime))


async def _call(work: Callable[[Runtime], Awaitable[Result]], runtime: Runtime) -> Result:
    return await work(runtime)
