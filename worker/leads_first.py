"""Background judging gives way to leads: where both want the same cores and customers, leads go first."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction
from db.intake import backlog

WAITED_S = 0.5
"""A lead that has waited for so long is late: some hundredths of a second are usual."""

_LOOK_S = 0.1


@asynccontextmanager
async def leads_first(engine: AsyncEngine) -> AsyncIterator[None]:
    """After the block, which is one transaction, sleep while leads are late: as long as the block took at most.

    So background judging goes on at half its speed at least, however many leads come.
    """
    began = time.monotonic()
    yield
    until = 2 * time.monotonic() - began
    while (left_s := until - time.monotonic()) > 0:
        async with transaction(engine, readonly=True) as connection:
            if await backlog.waited_s(connection) < WAITED_S:
                return
        await asyncio.sleep(min(left_s, _LOOK_S))
