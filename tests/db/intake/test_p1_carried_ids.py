"""P1: by which ids the leads of a partner named a person; callers that are bound to the partner see no others."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction
from db.core.row_keys import customer_uuid, partner_uuid
from db.intake.arrival import Arrival
from db.intake.decision import process
from db.intake.people import ensure_people
from db.masters import carried_ids, customers
from tests.builders import lead, unique
from tests.db.conftest import Examples
from tests.db.histories import Draw
from tests.world import World, domain_leads, forget_everything_waiting

IDS = 3
"""So many ids has each person; two partners use any of them."""


@dataclass
class Cast:
    """Partners with a product each, and people with several ids and one e-mail."""

    products: dict[str, str] = field(default_factory=dict)
    people: dict[str, list[str]] = field(default_factory=dict)


async def any_ids(draw: Draw, engine: AsyncEngine) -> None:
    """Leads of two partners name people by any of their ids, in any batches: each is told what its leads carried."""
    await forget_everything_waiting(engine)
    world, cast = World(engine), Cast()
    for _ in range(2):
        partner = unique("partner")
        await world.partner(partner)
        cast.products[partner] = unique("product")
        await world.product(cast.products[partner], partner)
    for _ in range(2):
        address = f"{unique('person')}@example.com"
        cast.people[address] = [unique("customer") for _ in range(IDS)]
    carried: dict[tuple[str, str], list[str]] = defaultdict(list)
    for _ in range(draw(st.integers(1, 4))):
        batch = []
        for _ in range(draw(st.integers(1, 4))):
            partner, address = draw(st.sampled_from([*cast.products])), draw(st.sampled_from([*cast.people]))
            own_id = draw(st.sampled_from(cast.people[address]))
            sent = lead(customer=own_id, product=cast.products[partner])
            batch.append(sent | {"customer": {"name": "Somebody", "email": address}})
            carried[partner, address].append(own_id)
        await world.put(*batch, chunk_leads=draw(st.sampled_from([None, 1])))
        await world.work(most_leads=draw(st.sampled_from([1, 1000])))
    async with transaction(engine, readonly=True) as connection:
        for (partner, address), ids in carried.items():
            known = await customers.resolve(connection, map(customer_uuid, cast.people[address]))
            row = partner_uuid(partner), known[customer_uuid(ids[0])]
            assert await carried_ids.first(connection, *row) == ids[0]
            for own_id in cast.people[address]:
                found = await carried_ids.is_carried(connection, *row, customer_uuid(own_id))
                assert found == (own_id in ids), (partner, own_id)


@given(st.data())
def test_p1_a_partner_is_told_the_ids_that_its_leads_carried(examples: Examples, data: st.DataObject) -> None:
    examples.run(any_ids(data.draw, examples.engine))


async def test_p1_nothing_is_kept_of_people_who_have_one_id(world: World, engine: AsyncEngine) -> None:
    await world.send(lead(customer="ann", product="crm"), lead(customer="bob", product="erp"))
    async with transaction(engine, readonly=True) as connection:
        assert (
            await connection.fetchval("SELECT count(*) FROM carried_ids WHERE partner_id = $1", partner_uuid("acme"))
            == 0
        )
        assert await carried_ids.first(connection, partner_uuid("acme"), customer_uuid("ann")) == "ann"


async def test_p1_an_id_counts_whose_person_got_another_one_before_its_lead_was_decided(
    world: World, engine: AsyncEngine
) -> None:
    """Two batches that begin at once, each with an id of a person whom the partner's leads did not name before."""
    (late,) = domain_leads(lead(customer="ann", product="crm"))
    arrivals = [Arrival(late, datetime.now(UTC))]
    async with transaction(engine) as connection:
        people = await ensure_people(connection, arrivals)
    ann = {"customer": {"name": "Ann", "email": "ann@example.com"}}
    await world.send(lead(customer="ann-2", product="crm") | ann)
    async with transaction(engine) as connection:
        await process(connection, world.policies, arrivals, people)
        row = partner_uuid("acme"), customer_uuid("ann")
        assert await carried_ids.first(connection, *row) == "ann-2"
        for own_id in ("ann", "ann-2"):
            assert await carried_ids.is_carried(connection, *row, customer_uuid(own_id)), own_id


async def test_p1_the_first_of_many_ids_is_read_alone(world: World, engine: AsyncEngine) -> None:
    """Not all ids that the partner's leads carried, for every row of a list."""
    partner_id, ann = partner_uuid("acme"), customer_uuid("ann")
    async with transaction(engine) as connection:
        await connection.execute(
            """
            INSERT INTO carried_ids (partner_id, customer_id, id)
            SELECT $1, $2, gen_random_uuid() FROM generate_series(1, 2000)
            """,
            partner_id,
            ann,
        )
        query = f"EXPLAIN ANALYZE SELECT {carried_ids.first_carried('$1::uuid')} FROM customers WHERE id = $2"
        plan = "\n".join(row[0] for row in await connection.fetch(query, partner_id, ann))
    assert "ix_carried_ids_first" in plan, plan
    assert "Sort" not in plan, plan


async def test_p1_a_lead_that_conflicts_names_nobody_to_its_partner(world: World, engine: AsyncEngine) -> None:
    """It is not taken, so the partner goes on to be told the id that its other lead carried."""
    await world.partner("rival")
    await world.product("crm-2", "rival")
    ann = {"customer": {"name": "Ann", "email": "ann@example.com"}}
    taken = lead(customer="ann", product="crm")
    await world.put(taken, lead(customer="ann-1", product="crm-2") | ann)
    await world.put(taken | {"product_id": "crm-2", "customer_id": "ann-2"} | ann)
    await world.work()
    async with transaction(engine, readonly=True) as connection:
        row = partner_uuid("rival"), customer_uuid("ann")
        carried = [
            await carried_ids.is_carried(connection, *row, customer_uuid(each)) for each in ("ann", "ann-1", "ann-2")
        ]
        assert carried == [False, True, False]
