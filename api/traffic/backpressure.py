"""Backpressure: while too many leads wait, or wait too long, the door says so instead of taking more.

At a limit the inbox is full and everybody is refused. Its second half is kept for keys that send little: from half on,
a key that sent more than its fair share lately is refused. So a noisy key fills half of the inbox and no more, and what
a quiet one sends never waits for more than a full inbox to be worked off.
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

log = structlog.get_logger()

_INTERVAL_S = 1.0
_MOST_OF_THE_TIME = 0.1
"""How much of it one process lets Postgres count: where a million rows wait, it looks less often than every second."""
_SHARED_FROM = 0.5
_RETRY_AFTER_S = 5


@dataclass(slots=True)
class Level:
    """A figure with its limit, 0 for none, and how both are said."""

    figure: float
    limit: float
    text: str
    unit: str

    @property
    def fullness(self) -> float:
        """1 where the limit is reached."""
        return self.figure / self.limit if self.limit else 0.0

    def message(self) -> str:
        """The figure and the limit; empty as long as everybody is let in."""
        if self.fullness < _SHARED_FROM:
            return ""
        told = self.text.format(f"{self.figure:,.0f}{self.unit}")
        if self.fullness >= 1:
            return f"{told}, and the limit is {self.limit:,.0f}{self.unit}"
        shared_from = f"{self.limit * _SHARED_FROM:,.0f}{self.unit}"
        return f"{told}, and from {shared_from} on keys that sent more than their share have to wait"


class Backpressure:
    """What this process knows of the backlog: as measured about once a second, and what it took in since."""

    def __init__(self, engine: AsyncEngine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._leads = 0
        self._waited_s = 0.0
        self._taken_in = 0
        self._shares = FairShare()
        self.refused: Counter[str] = Counter()
        """Requests of this process by why they were refused: `full` or `share`."""
        self._refused_lately: Counter[str] = Counter()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Measure while the block lasts."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _watch(self) -> None:
        while self._settings.max_inbox_leads or self._settings.max_inbox_age_s:
            began = time.monotonic()
            await self.measure()
            await asyncio.sleep(max(_INTERVAL_S, (time.monotonic() - began) / _MOST_OF_THE_TIME))
            if refused := self._refused_lately:
                self._refused_lately = Counter()
                log.warning("requests_refused", count=refused.total(), keys=refused, why=self.level().message())

    async def measure(self) -> None:
        """Ask Postgres what waits. If it does not tell, it takes nothing in either, so nobody is refused for it."""
        already = self._taken_in
        try:
            async with transaction(self._engine, readonly=True) as connection:
                self._leads = await backlog.leads(connection, self._settings.max_inbox_leads)
                self._waited_s = await backlog.waited_s(connection)
        except Exception as error:
            log.warning("inbox_not_measured", error=repr(error))
            self._leads, self._waited_s = 0, 0.0
        self._taken_in -= already
        self._shares.fade()

    def check(self, caller: Caller) -> None:
        """Problem 429 if leads of this key have to wait outside."""
        if self._has_room():
            return
        level = self.level()
        if level.fullness >= 1:
            self._refuse(caller, "full", level)
        if level.fullness >= _SHARED_FROM and self._shares.is_exceeded_by(caller.id):
            self._refuse(caller, "share", level)

    def take_in(self, caller: Caller, leads: int) -> None:
        """Count leads that are about to be stored; Problem 429 if others let in with them filled the inbox."""
        self.check(caller)
        self._taken_in += leads
        self._shares.count(caller.id, leads)

    def level(self) -> Level:
        """The limit that is nearest, and how near it is."""
        leads = self._leads + self._taken_in
        depth = Level(leads, self._settings.max_inbox_leads, "{} leads wait to be decided", "")
        age = Level(self._waited_s, self._settings.max_inbox_age_s, "Leads have waited for {}", " s")
        return depth if depth.fullness >= age.fullness else age

    def _has_room(self) -> bool:
        """Whether everybody is let in. It is asked twice for every request, so it makes no words."""
        leads, waited_s = self._settings.max_inbox_leads, self._settings.max_inbox_age_s
        return (not leads or self._leads + self._taken_in < leads * _SHARED_FROM) and (
            not waited_s or self._waited_s < waited_s * _SHARED_FROM
        )

    def _refuse(self, caller: Caller, reason: str, level: Level) -> None:
        self.refused[reason] += 1
        self._refused_lately[caller.actor.name] += 1
        raise Problem(
            429,
            f"{level.message()}: nothing was stored, try again in {_RETRY_AFTER_S} s.",
            headers={"Retry-After": str(_RETRY_AFTER_S)},
        )
