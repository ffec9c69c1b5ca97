"""Isolating poison: a lead that makes its batch fail becomes a dead letter, and the rest of the batch is decided.

Poison is only what a lead itself causes. Where a table is missing, a right or the disk, no lead is to blame: the batch
waits, whatever its leads.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.actions import Action, Outcome
from db.core.engine import transaction
from db.core.errors import is_fault_of_data
from db.intake import decision
from db.intake.arrival import Arrival
from db.intake.people import ensure_people, ensure_people_in_own_transaction
from db.ledger.policies import Policies

log = structlog.get_logger()

MOST_OPEN_ACTIONS = 20_000
"""Of customers whom one batch judges again because their terms or rates have changed; a customer with more is alone."""


@dataclass(slots=True)
class Decided:
    """What became of leads: the arrivals in the order they came, and by their place the errors of poison."""

    arrivals: list[Arrival] = field(default_factory=list)
    outcomes: dict[Action, Outcome] = field(default_factory=dict)
    poison: dict[int, str] = field(default_factory=dict)

    def add(self, later: "Decided") -> None:
        """Append what became of the leads that followed."""
        start = len(self.arrivals)
        self.arrivals += later.arrivals
        self.outcomes |= later.outcomes
        self.poison |= {start + place: error for place, error in later.poison.items()}


class Decide(Protocol):
    """Decides leads in the transaction of `connection`."""

    async def __call__(self, connection: asyncpg.Connection, arrivals: Sequence[Arrival]) -> Decided:
        """Return what became of each."""


async def run_isolating_poison(
    engine: AsyncEngine, policies: Policies, attempt: Callable[[asyncpg.Connection, Decide], Awaitable[int]]
) -> int:
    """Run `attempt` in a transaction of its own; if data make it fail, run it again so that poison is left out.

    Raises the error of the attempt if no lead can have caused it, and that of the second attempt.
    """

    async def decide(connection: asyncpg.Connection, arrivals: Sequence[Arrival]) -> Decided:
        people = await ensure_people_in_own_transaction(engine, connection, arrivals)
        return Decided(
            list(arrivals), await decision.process(connection, policies, arrivals, people, MOST_OPEN_ACTIONS)
        )

    try:
        async with transaction(engine) as connection:
            return await attempt(connection, decide)
    except Exception as error:
        policies.clear()
        if not is_fault_of_data(error):
            raise
        log.warning("batch_is_halved", error=repr(error))
    async with transaction(engine) as connection:
        return await attempt(connection, _decide_by_halves)


async def _decide_by_halves(connection: asyncpg.Connection, arrivals: Sequence[Arrival]) -> Decided:
    """Decide leads after a savepoint; if they fail, one half after the other, down to the lead that fails by itself.

    Each half is decided for good before the next one is tried, because leads may fail only together: the one that is
    too much for those before it is poison then, and those before it are billed. As few batches need this, it may hold
    its locks longer; two of them can deadlock, and then the batch is tried again like after every fault of the moment.
    """
    if not arrivals:
        return Decided()
    fresh = [Arrival(arrival.lead, arrival.received_at) for arrival in arrivals]
    try:
        async with connection.transaction():
            people = await ensure_people(connection, fresh)  # with the savepoint go the people whom poison describes
            return Decided(fresh, await decision.process(connection, Policies(), fresh, people, MOST_OPEN_ACTIONS))
    except Exception as error:
        if not is_fault_of_data(error):
            raise
        if len(arrivals) == 1:
            log.exception("poison_leads_found", lead_ids=[str(arrivals[0].id)], error=repr(error))
            return Decided(fresh, poison={0: repr(error)})
    middle = len(arrivals) // 2
    decided = await _decide_by_halves(connection, arrivals[:middle])
    decided.add(await _decide_by_halves(connection, arrivals[middle:]))
    return decided
