"""A dry run says what the live run that follows says, reads in proportion to its leads, and waits for nobody."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from hypothesis import given, note
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from api.schemas.verdicts import lead_out_from_view
from db.core import locks
from db.core.engine import transaction
from db.core.errors import BeingReevaluated
from db.core.row_keys import customer_uuid, lead_uuid
from db.reports import leads_on_record
from db.reports.dry_run_leads import TriedLead, try_leads
from db.reports.leads_on_record import LeadView
from tests.builders import Wire, lead, person
from tests.db import histories
from tests.db.conftest import Examples
from tests.db.histories import Draw
from tests.db.reports.test_rows_read import LAST, send_many
from tests.rows_read import rows_read
from tests.world import World, domain_leads

NOW = datetime(2024, 7, 1, tzinfo=UTC)


def said(view: LeadView) -> dict[str, Any]:
    """All that is said of a lead, but when it came."""
    return lead_out_from_view(view, people=True) | {"created_at": None, "received_at": None}


async def dry_run(world: World, *sent: Wire) -> list[TriedLead]:
    async with transaction(world.engine, readonly=True) as connection:
        return await try_leads(connection, domain_leads(*sent), NOW)


async def check_dry_run(world: World, sent: list[Wire]) -> None:
    """What the dry run says of leads, the engine says once it has decided them."""
    tried = await dry_run(world, *sent)
    await world.accept(*sent)
    await world.work()
    async with transaction(world.engine, readonly=True) as connection:
        for each in tried:
            view = await leads_on_record.view(connection, lead_uuid(*each.lead.identity))
            if each.view:
                assert view is not None
                assert said(each.view) == said(view)


async def any_dry_run(draw: Draw, engine: AsyncEngine) -> None:
    world, cast = await histories.begin(draw, engine)
    for _ in range(draw(st.integers(1, 3))):
        sent = [histories.lead(draw, cast) for _ in range(draw(st.integers(1, 5)))]
        for one in sent:
            note(f"lead {one}")
        await check_dry_run(world, sent)
        for _ in range(draw(st.integers(0, 3))):
            await histories.event(draw, world, cast)
    await world.check(rebuilt=False)


@given(st.data())
def test_a_dry_run_says_what_the_live_run_that_follows_says(examples: Examples, data: st.DataObject) -> None:
    examples.run(any_dry_run(data.draw, examples.engine))


async def test_a_dry_run_of_described_people_says_what_the_live_run_says(world: World) -> None:
    await check_dry_run(
        world,
        [
            lead("a", customer="new", product="crm") | {"customer": person("new@example.com")},
            lead("b", customer="alias", product="crm") | {"customer": person("new@example.com")},
            lead("c", customer="alias-of-ann", product="crm") | {"customer": person("ann@example.com")},
            lead("a", ("Call", "Low", LAST), customer="new", product="crm"),
        ],
    )
    await world.check()


async def test_a_dry_run_waits_for_no_lock_and_holds_none(world: World) -> None:
    """Failed before: it queued for the locks of people, partner and customer, and kept others waiting for them."""
    await world.send(lead("a", customer="ann", product="crm"))
    described = lead("b", customer="new", product="crm") | {"customer": person("new@example.com")}
    async with transaction(world.engine) as connection:
        await locks.lock_people_exclusive(connection)
        await locks.lock_partner_exclusive(connection, world.partners["acme"])
        await locks.lock_customers(connection, [(world.partners["acme"], customer_uuid("ann"))])
        sent = [lead("c", customer="ann", product="crm"), described]
        tried = await asyncio.wait_for(dry_run(world, *sent), 2)
    assert [each.problem for each in tried] == [None, None]


@pytest.mark.parametrize("cap", ["100.00", "100000.00"])
async def test_a_dry_run_reads_no_more_of_a_customer_with_ten_times_the_actions(world: World, cap: str) -> None:
    """Failed before: for each lead it read all actions of the customer in the month."""
    await world.terms("acme", "2024-04", cap=cap)
    await send_many(world, "ann", 20)
    await send_many(world, "bob", 200)
    read = {}
    for customer in ("ann", "bob"):
        again = [
            lead(
                f"{customer}-try-{n}",
                ("Type 3", "High", f"2024-04-{n:02d}T08:00:00Z"),
                customer=customer,
                product="crm",
            )
            for n in range(1, 11)
        ]
        async with transaction(world.engine, readonly=True) as connection:
            read[customer] = await rows_read(connection, partial(try_leads, connection, domain_leads(*again), NOW))
    assert read["bob"] <= read["ann"] + 50 < 600, read


async def test_a_dry_run_of_a_large_customer_waits_until_new_terms_are_applied(world: World) -> None:
    await send_many(world, "ann", 110)
    await world.terms("acme", "2024-04", cap="50.00")
    with pytest.raises(BeingReevaluated):
        await dry_run(world, lead("b", customer="ann", product="crm"))
    await world.settle()
    (tried,) = await dry_run(world, lead("b", customer="ann", product="crm"))
    assert tried.problem is None
