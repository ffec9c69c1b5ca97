"""Isolating poison: leads that make their batch fail are found, so that the rest of the batch is decided.

Poison is a lead in its row: the same lead in another row may have been fixed in the meantime.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.leads import Lead
from db.core.engine import transaction
from db.core.errors import TRANSIENT
from db.core.row_keys import lead_uuid
from db.intake import decision
from db.intake.arrival import Arrival
from db.intake.people import ensure_people
from db.intake.rollback import rolled_back
from db.ledger.policies import Policies

log = structlog.get_logger()

Claimed = tuple[int, Lead]
"""(row of the inbox or the quarantine, a lead in it)."""

Poison = Mapping[tuple[int, UUID], str]
"""The error of each lead that cannot be decided, by row and lead id."""

Attempt = Callable[[asyncpg.Connection, list[Claimed], Poison], Awaitable[int]]
"""Decides a batch: it adds the leads that it claimed to the list, and leaves out those that are poison."""


async def run_isolating_poison(engine: AsyncEngine, policies: Policies, attempt: Attempt) -> int:
    """Run `attempt` in a transaction of its own; if leads that it claimed make it fail, run it again without these.

    Raises the error of the attempt if it is transient, or if no lead is to blame.
    """
    poison: dict[tuple[int, UUID], str] = {}
    while True:
        claimed: list[Claimed] = []
        try:
            async with transaction(engine) as connection:
                return await attempt(connection, claimed, poison)
        except TRANSIENT:
            policies.clear()
            raise
        except Exception as error:
            policies.clear()
            found = await find_poison(engine, claimed)
            if not found.keys() - poison.keys():
                raise
            log.exception("poison_leads_found", lead_ids=[str(lead_id) for _, lead_id in found], error=repr(error))
            poison |= found


async def find_poison(engine: AsyncEngine, claimed: Sequence[Claimed]) -> dict[tuple[int, UUID], str]:
    """The leads that cannot be decided even alone, found by trying halves in transactions that are rolled back."""
    error = await _error_of(engine, [lead for _, lead in claimed])
    if error is None:
        return {}
    if len(claimed) == 1:
        row_id, lead = claimed[0]
        return {(row_id, lead_uuid(*lead.identity)): error}
    middle = len(claimed) // 2
    return await find_poison(engine, claimed[:middle]) | await find_poison(engine, claimed[middle:])


async def _error_of(engine: AsyncEngine, leads: Sequence[Lead]) -> str | None:
    """Try to decide leads; returns the error for which they are to blame, if there is one."""
    if not leads:
        return None
    try:
        async with rolled_back(engine) as connection:
            arrivals = [Arrival(lead, lead.actions[0].occurred_at) for lead in leads]
            people = await ensure_people(connection, arrivals)  # nobody is created for a trial
            await decision.process(connection, Policies(), arrivals, people)
    except TRANSIENT:
        raise
    except Exception as error:
        return repr(error)
    return None
