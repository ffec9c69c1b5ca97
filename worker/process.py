"""One event loop, one engine and one runtime per worker process, made when the child starts, closed when it ends."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import uvloop

from db.core.garbage_collector import OF_A_WORKER, tune_garbage_collector
from db.core.settings import Settings
from db.tasks.notifications import BACKGROUND
from db.telemetry import tracing
from worker.runtime import Runtime, create_runtime

Result = TypeVar("Result")


class Process:
    """The event loop of a process and the runtime of its tasks."""

    def __init__(self, settings: Settings, name: str) -> None:
        tracing.start("leadger-worker")
        tune_garbage_collector(OF_A_WORKER)
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._runtime = create_runtime(settings, name)

    def run(self, work: Callable[[Runtime], Awaitable[Result]]) -> Result:
        """Run a task's coroutine on the process's loop, with the task's trace and what is bound to its log."""
        return self._runner.run(self._call(work), context=contextvars.copy_context())

    def close(self) -> None:
        """Close the connections and the loop."""
        self._runner.run(self._runtime.engine.dispose())
        self._runner.close()
        tracing.stop()

    async def _call(self, work: Callable[[Runtime], Awaitable[Result]]) -> Result:
        return await work(self._runtime)


_process: Process | None = None
_queues: frozenset[str] = frozenset()


def consume(queues: Iterable[str]) -> None:
    """Say which queues this process and its children take; call it before `start`."""
    global _queues  # of the process, as below
    _queues = frozenset(queues)


def start(settings: Settings | None = None) -> None:
    """Prepare this process; Celery calls it when a child starts."""
    global _process  # one per process is the point of this module
    name = "leadger-background" if _queues == {BACKGROUND} else "leadger-worker"
    _process = Process(settings or Settings(), name)


def stop() -> None:
    """Close what this process has opened."""
    global _process
    if _process is not None:
        _process.close()
        _process = None


def run(work: Callable[[Runtime], Awaitable[Result]]) -> Result:
    """Run `work` with the runtime of this process."""
    if _process is None:
        start()
    assert _process is not None
    return _process.run(work)
