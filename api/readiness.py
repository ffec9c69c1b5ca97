"""Readiness: whether this process can accept leads, and what else does not work.

Everybody may ask, without a key. So the answer names no person and no reason that a person gave, asking blocks nothing,
and however many ask, the servers are asked a few times a second at most.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from api.traffic.backpressure import Backpressure
from db.core.engine import transaction
from db.core.errors import (
    DATABASE_UNAVAILABLE,
    OUTDATED_CONNECTION,
    UNFIT_DATABASE,
    UnusableDatabase,
    unavailable_because,
)
from db.core.settings import Settings
from db.intake import backlog
from db.intake.group_commit import InboxWriter
from db.intake.partitions import PartitionStarts
from db.tasks import pauses
from db.telemetry import health

log = structlog.get_logger()

_PATIENCE_S = 3.0
_MOST_ROWS_COUNTED = 10_000
_MOST_MEASUREMENTS = 5
_PER_S = 1.0
_WAITING_TOO_LONG_S = 60.0
_PAUSED = "paused: The workers are paused; GET /api/workers says why"


@dataclass(frozen=True, slots=True)
class Ready:
    """What was found. With a `fault` no lead can be accepted; what is `degraded` only delays what follows."""

    fault: str = ""
    degraded: tuple[str, ...] = ()


class Readiness:
    """Finds out whether leads can be accepted. Those who ask at the same time get the same answer."""

    def __init__(
        self,
        engine: AsyncEngine,
        settings: Settings,
        backpressure: Backpressure,
        inbox: InboxWriter,
        starts: PartitionStarts,
    ) -> None:
        self._engine = engine
        self._starts = starts
        self._settings = settings
        self._backpressure = backpressure
        self._inbox = inbox
        self._measurement: asyncio.Task[Ready] | None = None
        self._started_at: deque[float] = deque(maxlen=_MOST_MEASUREMENTS)

    async def now(self) -> Ready:
        """The answer, measured after the call unless many called within the last second."""
        if self._measurement is None or (self._measurement.done() and not self._measured_often()):
            self._started_at.append(time.monotonic())
            self._measurement = asyncio.create_task(self._measure())
        return await asyncio.shield(self._measurement)

    def _measured_often(self) -> bool:
        return len(self._started_at) == _MOST_MEASUREMENTS and self._started_at[0] > time.monotonic() - _PER_S

    async def _measure(self) -> Ready:
        try:
            async with asyncio.timeout(_PATIENCE_S), transaction(self._engine, readonly=True) as connection:
                missing = await health.missing_migrations(connection)
                if missing:
                    return Ready(f"The database schema is not up to date: {missing}. Run `alembic upgrade head`.")
                await health.refuse_read_only(connection)
                waited_s = await backlog.waited_s(connection, self._starts)
                waiting = await backlog.leads(connection, _MOST_ROWS_COUNTED, self._starts)
                pause = await pauses.current(connection)
        except (*OUTDATED_CONNECTION, *UNFIT_DATABASE, UnusableDatabase) as error:
            return Ready(f"{unavailable_because(error)}.")
        except (*DATABASE_UNAVAILABLE, asyncpg.PostgresError):
            return Ready("Postgres cannot be reached.")
        if refusal := self._inbox.refused_write():
            return Ready(f"{unavailable_because(refusal)}.")
        paused_s = (datetime.now(UTC) - pause.paused_at).total_seconds() if pause else 0.0
        log.info("inbox_measured", oldest_s=round(waited_s, 3), waiting=waiting, paused_s=paused_s)
        degraded = [await health.queue_fault(self._settings)]
        if waited_s > _WAITING_TOO_LONG_S:
            degraded.append(f"worker: leads have waited for {waited_s:.0f} s")
        if pause:
            degraded.append(_PAUSED)
        if refusing := self._backpressure.level().message():
            degraded.append(f"backpressure: {refusing}")
        return Ready(degraded=tuple(filter(None, degraded)))
