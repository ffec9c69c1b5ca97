"""Background judging gives way to leads: where both want the same cores and customers, leads go first."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from db.core.engine import transaction
from db.intake import backlog
from db.tasks.records import Progress
from worker.runtime import Runtime

WAITED_S = 0.5
"""A lead that has waited for so long is late: some hundredths of a second are usual."""

_LOOK_S = 0.1


@asynccontextmanager
async def leads_first(runtime: Runtime) -> AsyncIterator[None]:
    """After the block, which is one transaction, sleep while leads are late: as long as the block took at most.

    So background judging goes on at half its speed at least, however many leads come.
    """
    began = time.monotonic()
    yield
    await _give_way(runtime, time.monotonic() - began)


def leads_before_each_step(runtime: Runtime, progress: Progress) -> Progress:
    """The same after each step of work that reports its progress."""
    began = time.monotonic()

    async def report(done: int, total: int) -> None:
        nonlocal began
        await progress(done, total)
        await _give_way(runtime, time.monotonic() - began)
        began = time.monotonic()

    return report


async def _give_way(runtime: Runtime, longest_s: float) -> None:
    until = time.monotonic() + longest_s
    while (left_s := until - time.monotonic()) > 0:
        async with transaction(runtime.engine, readonly=True) as connection:
            if await backlog.waited_s(connection, runtime.starts) < WAITED_S:
                return
        await asyncio.sleep(min(left_s, _LOOK_S))
