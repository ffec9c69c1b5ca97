"""A dry run: leads are decided exactly as a worker would, their verdicts are read, and nothing of it is stored."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.leads import Lead
from db.intake import decision
from db.intake.arrival import Arrival
from db.intake.people import ensure_people
from db.intake.rollback import rolled_back
from db.ledger.policies import Policies

View = TypeVar("View")


@dataclass(frozen=True, slots=True)
class TriedLead(Generic[View]):
    """A lead of a dry run: `view` if it would be decided, else the problem for which it would be quarantined."""

    lead: Lead
    view: View | None
    problem: str | None
    detail: str


async def try_leads(
    engine: AsyncEngine,
    leads: Sequence[Lead],
    received_at: datetime,
    read_view: Callable[[asyncpg.Connection, UUID], Awaitable[View | None]],
) -> list[TriedLead[View]]:
    """Decide leads in a transaction of its own that is rolled back. `read_view` reads a decided lead by its id."""
    arrivals = [Arrival(lead, received_at) for lead in leads]
    async with rolled_back(engine) as connection:
        people = await ensure_people(connection, arrivals)
        await decision.process(connection, Policies(), arrivals, people)
        views = [None if arrival.problem else await read_view(connection, arrival.id) for arrival in arrivals]
    return [
        TriedLead(arrival.lead, view, arrival.problem, arrival.detail)
        for arrival, view in zip(arrivals, views, strict=True)
    ]
