"""A transaction for trying something out: whatever it writes is undone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction


class _Rollback(Exception):
    """Ends a transaction without a commit."""


@asynccontextmanager
async def rolled_back(engine: AsyncEngine) -> AsyncIterator[asyncpg.Connection]:
    """A connection in a transaction that is rolled back when the block ends."""
    try:
        async with transaction(engine) as connection:
            yield connection
            raise _Rollback
    except _Rollback:
        return
