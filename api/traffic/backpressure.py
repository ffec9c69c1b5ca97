"""Backpressure: while too many leads wait, or wait too long, the API refuses more of them with 429.

At a limit the inbox is full and every key is refused. Its second half is kept for keys that send little: from half on,
a key that sent more than its fair share lately is refused. So a key that sends much fills half of the inbox and no
more, and the leads of one that sends little never wait for more than a full inbox to be decided.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access.permissions import Caller
from api.problems import Problem
from api.traffic.fair_share import FairShare
from db.core.engine import transaction
from db.core.settings import Settings
from db.intake import backlog
from db.intake.partitions import PartitionStarts

log = structlog.get_logger()

_INTERVAL_S = 1.0
_MOST_TIME_MEASURING = 0.1
"""The part of its time that a process may spend on measuring: where a million rows wait, it does so less often."""
_SHARED_FROM = 0.5
_RETRY_AFTER_S = 5


@dataclass(slots=True)
class Level:
    """A figure with its limit (0: none), and the text and the unit of the message about them."""

    figure: float
    limit: float
    text: str
    unit: str

    @property
    def fullness(self) -> float:
        """The figure as a part of its limit: 1 where the limit is reached."""
        return self.figure / self.limit if self.limit else 0.0

    def message(self) -> str:
        """The figure and the limit; empty while no key is refused."""
        if self.fullness < _SHARED_FROM:
            return ""
        figure = self.text.format(f"{self.figure:,.0f}{self.unit}")
        if self.fullness >= 1:
            return f"{figure}, and the limit is {self.limit:,.0f}{self.unit}"
        shared_from = f"{self.limit * _SHARED_FROM:,.0f}{self.unit}"
        return f"{figure}, and from {shared_from} on keys that sent more than their share have to wait"


class Backpressure:
    """The backlog as this process knows it: as measured about once a second, and what it accepted since."""

    def __init__(self, engine: AsyncEngine, settings: Settings, starts: PartitionStarts) -> None:
        self._engine = engine
        self._settings = settings
        self._starts = starts
        self._leads = 0
        self._waited_s = 0.0
        self._accepted_since = 0
        self._fair_share = FairShare()
        self.refused: Counter[str] = Counter()
        """Requests that this process refused, by reason: `full` or `share`."""
        self._refused_by_key: Counter[str] = Counter()
        """Requests that were refused since the last log line, by the name of the key."""

    @asynccontextmanager
    async def measuring(self) -> AsyncIterator[None]:
        """Measure again and again while the block runs."""
        task = asyncio.create_task(self._measure_repeatedly())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _measure_repeatedly(self) -> None:
        while self._settings.max_inbox_leads or self._settings.max_inbox_age_s:
            started = time.monotonic()
            await self.measure()
            await asyncio.sleep(max(_INTERVAL_S, (time.monotonic() - started) / _MOST_TIME_MEASURING))
            if refused := self._refused_by_key:
                self._refused_by_key = Counter()
                log.warning("requests_refused", count=refused.total(), keys=refused, why=self.level().message())

    async def measure(self) -> None:
        """Ask Postgres how much waits. If it does not answer, it stores nothing either, so nobody is refused here."""
        counted_before = self._accepted_since
        try:
            async with transaction(self._engine, readonly=True) as connection:
                self._leads = await backlog.leads(connection, self._settings.max_inbox_leads, self._starts)
                self._waited_s = await backlog.waited_s(connection, self._starts)
        except Exception as error:
            log.warning("inbox_not_measured", error=repr(error))
            self._leads, self._waited_s = 0, 0.0
        self._accepted_since -= counted_before
        self._fair_share.decay()

    def check(self, caller: Caller) -> None:
        """Problem 429 if the caller has to send its leads later."""
        if self._has_room():
            return
        level = self.level()
        if level.fullness >= 1:
            self._refuse(caller, "full", level)
        if level.fullness >= _SHARED_FROM and self._fair_share.is_exceeded_by(caller.id):
            self._refuse(caller, "share", level)

    def reserve(self, caller: Caller, leads: int) -> None:
        """Count leads that are about to be stored; Problem 429 if requests that came in together filled the inbox."""
        self.check(caller)
        self._accepted_since += leads
        self._fair_share.add(caller.id, leads)

    def level(self) -> Level:
        """The figure that is nearest to its limit."""
        leads = self._leads + self._accepted_since
        depth = Level(leads, self._settings.max_inbox_leads, "{} leads wait to be decided", "")
        age = Level(self._waited_s, self._settings.max_inbox_age_s, "Leads have waited for {}", " s")
        return depth if depth.fullness >= age.fullness else age

    def _has_room(self) -> bool:
        """Whether no key is refused. It is asked twice for each request, so it makes no messages."""
        leads, waited_s = self._settings.max_inbox_leads, self._settings.max_inbox_age_s
        return (not leads or self._leads + self._accepted_since < leads * _SHARED_FROM) and (
            not waited_s or self._waited_s < waited_s * _SHARED_FROM
        )

    def _refuse(self, caller: Caller, reason: str, level: Level) -> None:
        self.refused[reason] += 1
        self._refused_by_key[caller.actor.name] += 1
        raise Problem(
            429,
            f"{level.message()}: nothing was stored, try again in {_RETRY_AFTER_S} s.",
            headers={"Retry-After": str(_RETRY_AFTER_S)},
        )
