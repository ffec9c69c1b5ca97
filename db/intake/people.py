"""The people behind the customer ids of leads; a lead may describe a new one (R12)."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.leads import Person
from db.core.engine import transaction
from db.core.row_keys import customer_uuid
from db.intake.arrival import Arrival
from db.masters import customers


async def ensure_people(connection: asyncpg.Connection, arrivals: Sequence[Arrival]) -> dict[UUID, UUID]:
    """The person behind each customer id; those that leads describe are created."""
    known = await customers.resolve(connection, {arrival.customer_id for arrival in arrivals})
    described = _described(arrivals, known)
    return known | (await customers.ensure(connection, described) if described else {})


async def ensure_people_in_own_transaction(
    engine: AsyncEngine, connection: asyncpg.Connection, arrivals: Sequence[Arrival]
) -> dict[UUID, UUID]:
    """The person behind each customer id; those that leads describe are created in a transaction of its own.

    So the lock that creators of people queue for is held shortly, and not while a batch is decided.
    """
    known = await customers.resolve(connection, {arrival.customer_id for arrival in arrivals})
    described = _described(arrivals, known)
    if described:
        async with transaction(engine) as own:
            known |= await customers.ensure(own, described)
    return known


def _described(arrivals: Sequence[Arrival], known: Mapping[UUID, UUID]) -> dict[str, Person]:
    """The people that leads describe, by unknown customer ids; the first description of an id counts."""
    described: dict[str, Person] = {}
    for arrival in arrivals:
        if arrival.lead.person and customer_uuid(arrival.lead.customer) not in known:
            described.setdefault(arrival.lead.customer, arrival.lead.person)
    return described
