"""A unit of work that is rolled back: everything is computed, and nothing of it stays (M3)."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.actor import SYSTEM
from db.core.audit import Change
from db.core.engine import transaction
from db.core.unit_of_work import UnitOfWork
from db.ledger.report_changes import DRY_RUN

_LOCK_TIMEOUT_MS = 2_000


class _RolledBack(Exception):
    """Ends the transaction of a dry run."""


class _DryUnitOfWork(UnitOfWork):
    """Writes no audit, whose numbers would be gone, and sends nothing."""

    async def audit_all(self, what: str, changes: Iterable[Change]) -> None:
        """Nothing has changed."""


@asynccontextmanager
async def dry_unit_of_work(engine: AsyncEngine, request_id: str) -> AsyncIterator[UnitOfWork]:
    """A transaction that waits shortly for locks, moves no sequence and is always rolled back."""
    with suppress(_RolledBack):
        async with transaction(engine) as connection:
            await connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT_MS}ms'; SET LOCAL {DRY_RUN} = 'on'")
            yield _DryUnitOfWork(connection, SYSTEM, request_id)
            raise _RolledBack
