"""What-if: real history by other settings; the same settings change nothing, and others what a real change would."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.errors import RuleViolation
from billing.money import minor_from_amount
from billing.periods import next_period, text_from_period
from billing.rates import Conditions
from billing.terms import window_from_wire
from billing.what_if import Supposed, SupposedRate
from db.core.engine import transaction
from db.core.row_keys import product_uuid
from db.ledger import holds, what_if, what_if_results
from db.tasks import records
from tests.api.world import row_counts
from tests.builders import distinct, lead
from tests.db import histories
from tests.db.conftest import Examples
from tests.db.histories import CAPS, WINDOWS, Draw
from tests.world import World

FIRST, LAST = 202401, 202412
APRIL = "2024-04-10T00:00:00Z"
EVERYTHING = Supposed(FIRST, LAST)
Billed = dict[tuple[UUID, UUID, int], int]


async def nothing(done: int, total: int) -> None:
    assert done <= total


async def differences(
    world: World, supposed: Supposed, progress: Callable[[int, int], Awaitable[None]] = nothing
) -> tuple[list[what_if.Sum], Billed]:
    """The sums, and after - before of each difference by (partner, customer, period)."""
    async with world.unit_of_work() as uow:
        task_id = await what_if.start(uow, list(world.partners.values()), supposed)
    async with transaction(world.engine, readonly=True) as connection:
        task = await records.read(connection, task_id)
    assert task is not None
    found = await what_if.look(world.engine, task_id, task.arguments, progress)
    async with transaction(world.engine) as connection:
        rows = await connection.fetch(
            "DELETE FROM what_if_differences WHERE task_id = $1 RETURNING *, after_minor - before_minor AS difference",
            task_id,
        )
        await records.finish(connection, task_id, {})
    return found.sums, {(row["partner_id"], row["customer_id"], row["period"]): row["difference"] for row in rows}


async def billed(world: World) -> Billed:
    """What is billed by (partner, customer, period)."""
    async with transaction(world.engine, readonly=True) as connection:
        rows = await connection.fetch(
            """
            SELECT partner_id, customer_id, billing_period, sum(billed_minor)::bigint AS billed FROM actions
            WHERE partner_id = ANY($1::uuid[]) GROUP BY 1, 2, 3
            """,
            list(world.partners.values()),
        )
    return {tuple(row)[:3]: row["billed"] for row in rows}


async def history(draw: Draw, engine: AsyncEngine, **how: Any) -> World:
    """Leads and events, among them closings, returns and changes, all of it decided."""
    world, cast = await histories.begin(draw, engine, **how)
    for _ in range(draw(st.integers(1, 4))):
        await world.send(*(histories.lead(draw, cast) for _ in range(draw(st.integers(1, 4)))))
        await histories.event(draw, world, cast)
    await world.settle()
    return world


async def the_same_settings(draw: Draw, engine: AsyncEngine) -> None:
    world = await history(draw, engine)
    first = draw(st.sampled_from([FIRST, 202404, 202405]))
    sums, found = await differences(world, Supposed(first, draw(st.sampled_from([202405, LAST]))))
    assert found == {}
    assert all(each.before_minor == each.after_minor for each in sums)


@given(st.data())
def test_the_same_settings_change_nothing(examples: Examples, data: st.DataObject) -> None:
    examples.run(the_same_settings(data.draw, examples.engine))


async def a_real_change(draw: Draw, engine: AsyncEngine) -> None:
    """Supposed and then really made, a change of terms has the same effect."""
    world = await history(draw, engine, partners=1)
    ((partner, partner_id),) = world.partners.items()
    async with transaction(world.engine, readonly=True) as connection:
        first = max((await world.policies.load(connection, [partner_id]))[partner_id].first_open, FIRST)
    cap, window = draw(st.sampled_from(CAPS)), draw(st.sampled_from(WINDOWS))
    minor = None if cap is None else minor_from_amount(cap)
    before = await billed(world)
    _, found = await differences(world, Supposed(first, LAST, (), True, minor, window_from_wire(window)))
    period = first
    while period <= LAST:
        assert await world.terms(partner, text_from_period(period), cap=cap, dedup_window=window)
        period = next_period(period)
    await world.settle()
    after = await billed(world)
    assert found == {key: after[key] - before[key] for key in after if after[key] != before[key]}


@given(st.data())
def test_a_supposed_change_has_the_effect_of_a_real_one(examples: Examples, data: st.DataObject) -> None:
    examples.run(a_real_change(data.draw, examples.engine))


async def test_other_prices_count_by_their_conditions_and_starts_instead_of_those_in_force(world: World) -> None:
    acme = world.partners["acme"]
    await world.rate("7.00", partner="acme", engagement_level="High", effective_from="2024-05")
    for month in (4, 5, 6):
        at = f"2024-0{month}-10T00:00:00Z"
        await world.send(
            *distinct(1, at, customer="ann", product="crm"), *distinct(1, at, customer="ann", product="erp")
        )
    await world.close("acme", "2024-04")
    high: Conditions = (acme, None, None, None, "high")
    high_of_crm: Conditions = (acme, product_uuid("crm"), None, None, "high")
    rates = (SupposedRate(high, 300), SupposedRate(high_of_crm, 100, 202406))
    before = await billed(world)
    counts = await row_counts(world.engine)
    (total,), found = await differences(world, Supposed(202404, 202406, rates))
    assert sorted((period, minor) for (_, _, period), minor in found.items()) == [
        (202404, 600 - 2000),
        (202405, 600 - 1400),
        (202406, 400 - 1400),
    ]
    assert (total.before_minor, total.after_minor) == (4800, 1600)
    assert await billed(world) == before
    assert await row_counts(world.engine) == counts | {"tasks": counts["tasks"] + 1}
    (_,), found = await differences(world, Supposed(202405, 202405, (SupposedRate(high, None),)))
    assert list(found.values()) == [2000 - 1400]  # without the rule of May, the one of all partners counts


async def test_a_key_that_a_return_freed_stays_free(world: World) -> None:
    for month in (4, 5, 6):
        await world.send(lead(None, ("Click", "High", f"2024-0{month}-10T00:00:00Z"), customer="ann", product="crm"))
    async with transaction(world.engine, readonly=True) as connection:
        rows = await connection.fetch("SELECT id, billing_period FROM actions ORDER BY billing_period")
    assert [row["billing_period"] for row in rows] == [202404, 202405, 202406]
    await world.close("acme", "2024-04")
    await world.close("acme", "2024-05")
    async with world.unit_of_work() as uow:
        await holds.return_action(uow, world.policies, rows[0]["id"], "wrong")
    assert sorted((await billed(world)).values()) == [0, 1000, 1000]
    assert (await differences(world, EVERYTHING))[1] == {}
    assert (await differences(world, Supposed(202405, 202406)))[1] == {}


async def test_one_that_is_cancelled_or_takes_too_long_ends(world: World) -> None:
    for customer in ("ann", "bob"):
        await world.send(*distinct(2, APRIL, customer=customer, product="crm"))
    async with world.unit_of_work() as uow:
        task_id = await what_if.start(uow, list(world.partners.values()), EVERYTHING)
        assert await what_if.start(uow, list(world.partners.values()), EVERYTHING) == task_id
    async with transaction(world.engine, readonly=True) as connection:
        task = await records.read(connection, task_id)
    assert task is not None
    with pytest.raises(RuleViolation, match="took too long"):
        await what_if.look(world.engine, task_id, task.arguments, nothing, longest_s=-1.0)
    async with world.unit_of_work() as uow:
        assert await what_if.cancel(uow, task_id)
        assert not await what_if.cancel(uow, UUID(int=1))
    with pytest.raises(RuleViolation, match="cancelled"):
        await what_if.look(world.engine, task_id, task.arguments, nothing)


async def test_leads_are_decided_while_it_looks_and_it_sees_none_of_them(world: World) -> None:
    await world.send(*distinct(3, APRIL, customer="ann", product="crm"))
    more = distinct(5, "2024-06-01T00:00:00Z", customer="bob", product="crm")

    async def progress(done: int, total: int) -> None:
        await asyncio.wait_for(world.send(*more), 5)
        assert (done, total) == (3, 3)

    (total,), found = await differences(world, Supposed(FIRST, LAST, (), True, 500), progress)
    assert (total.before_minor, total.after_minor, len(found)) == (3000, 500, 1)


async def test_an_attempt_that_was_killed_leaves_nothing_twice(world: World) -> None:
    await world.send(*distinct(3, APRIL, customer="ann", product="crm"))
    async with world.unit_of_work() as uow:
        task_id = await what_if.start(uow, list(world.partners.values()), Supposed(FIRST, LAST, (), True, 500))
    async with transaction(world.engine, readonly=True) as connection:
        task = await records.read(connection, task_id)
    assert task is not None
    for _ in range(2):
        await what_if.look(world.engine, task_id, task.arguments, nothing)
    async with transaction(world.engine, readonly=True) as connection:
        (one,) = await what_if_results.page(connection, task_id, after=0, limit=10)
    assert (one.partner, one.customer, one.before_minor, one.after_minor) == ("acme", "ann", 3000, 500)
