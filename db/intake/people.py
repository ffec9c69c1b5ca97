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
from db.masters.customers import Described
from db.masters.erased import is_reserved_email


async def ensure_people(connection: asyncpg.Connection, arrivals: Sequence[Arrival]) -> dict[UUID, UUID]:
    """The person behind each customer id; those that leads describe are created."""
    known = await _known(connection, arrivals)
    described = _described(arrivals, known)
    return known | (await customers.ensure(connection, described) if described else {})


async def foresee_people(connection: asyncpg.Connection, arrivals: Sequence[Arrival]) -> Described:
    """The person behind each customer id, as if those that leads describe were created."""
    known = await _known(connection, arrivals)
    described = await customers.foresee(connection, _described(arrivals, known))
    described.meant = known | described.meant
    return described


async def ensure_people_in_own_transaction(
    engine: AsyncEngine, connection: asyncpg.Connection, arrivals: Sequence[Arrival]
) -> dict[UUID, UUID]:
    """The person behind each customer id; those that leads describe are created in a transaction of its own.

    So the lock that creators of people queue for is held shortly, and not while a batch is decided.
    """
    known = await _known(connection, arrivals)
    described = _described(arrivals, known)
    if described:
        async with transaction(engine) as own:
            known |= await customers.ensure(own, described)
    return known


async def _known(connection: asyncpg.Connection, arrivals: Sequence[Arrival]) -> dict[UUID, UUID]:
    """The person behind each known customer id. Leads of people who were erased name them by the key from now on."""
    known, erased = await customers.resolve_with_erased(connection, {arrival.customer_id for arrival in arrivals})
    if erased:
        for arrival in arrivals:
            if known.get(arrival.customer_id) in erased:
                arrival.erase_person()
    return known


def _described(arrivals: Sequence[Arrival], known: Mapping[UUID, UUID]) -> dict[str, Person]:
    """The people that leads describe, by unknown customer ids; the first description of an id counts.

    One with the e-mail of an erased person was accepted before such e-mails were refused, and describes nobody.
    """
    described: dict[str, Person] = {}
    for arrival in arrivals:
        person = arrival.lead.person
        if person and customer_uuid(arrival.lead.customer) not in known and not is_reserved_email(person.email):
            described.setdefault(arrival.lead.customer, person)
    return described
