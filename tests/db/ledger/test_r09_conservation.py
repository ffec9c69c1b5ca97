"""R9: money and counts are conserved, per partner, billing period and customer, whatever happens."""

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction
from db.ledger import invariants
from tests.builders import lead
from tests.db import histories
from tests.db.conftest import Examples
from tests.db.histories import Draw
from tests.world import World

ADDS_UP = """
    SELECT count(*) FROM (
        SELECT sum(value_minor) AS gross, sum(billed_minor) AS billed,
            coalesce(sum(value_minor) FILTER (WHERE outcome = 'duplicate'), 0) AS duplicate_savings,
            coalesce(sum(value_minor - billed_minor) FILTER (WHERE outcome IN ('partly_billed', 'capped')), 0) AS cut,
            coalesce(sum(value_minor) FILTER (WHERE outcome IN ('held', 'returned')), 0) AS not_counted
        FROM actions GROUP BY partner_id, billing_period, customer_id
    ) AS sums WHERE gross <> billed + duplicate_savings + cut + not_counted
"""


async def after_every_step(draw: Draw, engine: AsyncEngine) -> None:
    """A history with many events; nothing is out of balance after any step, before anything is judged again."""
    world, cast = await histories.begin(draw, engine, partners=1)
    for _ in range(draw(st.integers(1, 4))):
        await world.send(*(histories.lead(draw, cast) for _ in range(draw(st.integers(1, 3)))))
        await balanced(world)
        await histories.event(draw, world, cast)
        await balanced(world)
    await world.check()


async def balanced(world: World) -> None:
    async with transaction(world.engine, readonly=True) as connection:
        assert await connection.fetchval(ADDS_UP) == 0
        for partner_id in world.partners.values():
            for report in await invariants.reports_of(connection, partner_id, 0):
                if report.is_open:
                    assert await invariants.violations(connection, partner_id, report.period) == []


@given(st.data())
def test_r9_every_step_conserves_money_and_counts(examples: Examples, data: st.DataObject) -> None:
    examples.run(after_every_step(data.draw, examples.engine))


async def test_r9_quarantined_leads_stand_outside(world: World) -> None:
    await world.send(lead(customer="nobody", product="crm"), lead(customer="ann", product="nothing"))
    async with transaction(world.engine) as connection:
        assert await connection.fetchval("SELECT count(*) FROM quarantine") == 2
        for table in ("leads", "actions", "customer_periods", "product_periods"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_r9_a_counter_that_differs_from_its_verdicts_is_found(world: World) -> None:
    await world.send(lead(customer="ann", product="crm"))
    async with transaction(world.engine) as connection:
        await connection.execute(
            "UPDATE customer_periods SET gross_minor = gross_minor + 1, billed_minor = billed_minor + 1"
        )
        found = await invariants.violations(connection, world.partners["acme"], 202404)
    assert [violation.difference for violation in found] == [{"gross_minor": -1, "billed_minor": -1}]
