"""Looking for leads among those that wait, which no index finds: one would cost every lead that is accepted."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from billing.leads import Lead
from db.core.engine import transaction
from db.intake import inbox

MOST_SOUGHT = 32
"""Leads that one look seeks, so that comparing them costs little beside reading what waits."""

_Asked = tuple[Sequence[UUID], asyncio.Future[dict[UUID, Lead]]]


class WaitingLeads:
    """Looks through what waits once at a time, for all who ask: those who come meanwhile share the next look.

    However many ask for unknown leads, they take one connection of a process, and one core of the database.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._asked: list[_Asked] = []
        self._looking: asyncio.Task[None] | None = None

    async def find(self, lead_ids: Sequence[UUID]) -> dict[UUID, Lead]:
        """Those of these leads that wait, as of a snapshot that is later than the call."""
        found: asyncio.Future[dict[UUID, Lead]] = asyncio.get_running_loop().create_future()
        self._asked.append((lead_ids, found))
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return await found

    async def _look(self) -> None:
        while asked := self._next_asked():
            sought = [lead_id for lead_ids, _ in asked for lead_id in lead_ids]
            try:
                async with transaction(self._engine, readonly=True) as connection:
                    leads = await inbox.waiting_leads(connection, sought)
            except Exception as error:
                for _, found in asked:
                    if not found.done():
                        found.set_exception(error)
            else:
                for lead_ids, found in asked:
                    if not found.done():
                        found.set_result({lead_id: leads[lead_id] for lead_id in lead_ids if lead_id in leads})

    def _next_asked(self) -> list[_Asked]:
        """Who asks for at most MOST_SOUGHT leads, those first who came first; who has gone is left out."""
        self._asked = [each for each in self._asked if not each[1].done()]
        count = leads = 0
        for lead_ids, _ in self._asked:
            leads += len(lead_ids)
            if count and leads > MOST_SOUGHT:
                break
            count += 1
        asked, self._asked = self._asked[:count], self._asked[count:]
        return asked
