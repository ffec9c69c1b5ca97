"""A task that failed: one line in the log, and one more in /metrics."""

from contextlib import suppress

import structlog

from db.core.engine import transaction
from db.telemetry import counters
from worker import process
from worker.runtime import Runtime

log = structlog.get_logger()


def report(task: str, task_id: str, request_id: str) -> None:
    """Log the exception that is being handled, and count it."""
    log.exception("task_failed", task=task, task_id=task_id, request_id=request_id)
    with suppress(Exception):  # Postgres may be what failed: then the line has to do
        process.run(_count)


async def _count(runtime: Runtime) -> None:
    async with transaction(runtime.engine) as connection:
        await counters.add(connection, {"task_failures": 1})
