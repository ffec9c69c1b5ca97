"""R8: verdicts depend on what was accepted, never on arrival order, batch split, concurrency or redelivery."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given, note
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.builders import Wire, lead
from tests.db import histories
from tests.db.conftest import Examples
from tests.db.histories import Draw
from tests.world import World


async def any_history(draw: Draw, engine: AsyncEngine, kinds: Sequence[str]) -> None:
    """Batches, events and redeliveries in any order; after each round the engine says what the oracle says."""
    world, cast = await histories.begin(draw, engine)
    for _ in range(draw(st.integers(1, 4))):
        sent = [histories.lead(draw, cast) for _ in range(draw(st.integers(0, 5)))]
        for one in sent:
            note(f"lead {one}")
        if sent:
            await world.accept(*sent, chunk_leads=draw(st.sampled_from([None, 1, 2])))
            await world.work(most_leads=draw(st.sampled_from([1, 2, 1000])))
            if draw(st.booleans()):
                await world.put(*sent)
                await world.work()
        for _ in range(draw(st.integers(0, 3))):
            await histories.event(draw, world, cast, kinds)
        await world.check(rebuilt=False)
    await world.check()


@pytest.mark.parametrize(
    "kinds",
    [
        pytest.param(histories.EVENTS, id="all events"),
        *(
            pytest.param(kinds, id=name, marks=pytest.mark.slow)
            for name, kinds in {
                "time zones": ["time zone"] * 4 + ["close", "reopen", "hold", "return"],
                "people": ["person"] * 2 + ["erasure"] * 2 + ["master", "close"],
                "rebuilds": ["rebuild"] * 3 + ["rate", "terms", "time zone", "close", "return"],
            }.items()
        ),
    ],
)
@given(st.data())
def test_r8_any_history_gives_what_the_oracle_says(
    examples: Examples, kinds: Sequence[str], data: st.DataObject
) -> None:
    examples.run(any_history(data.draw, examples.engine, kinds))


@pytest.mark.slow
@given(st.data())
def test_r8_many_actions_at_one_instant_give_what_the_oracle_says(examples: Examples, data: st.DataObject) -> None:
    """Two instants hold everything, so the affected range ends within one of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(histories, "instant", lambda draw: datetime(2024, draw(st.integers(4, 5)), 1, 12, tzinfo=UTC))
        examples.run(any_history(data.draw, examples.engine, ["hold", "release", "return", "correct", "rate", "close"]))


async def test_r8_a_lead_with_many_actions_at_one_instant_is_judged_as_a_whole(world: World) -> None:
    """What came later comes first in evaluation order, and so does not lie where an index would stop."""
    await world.terms("acme", "2024-04", cap="25.00")
    at = "2024-04-10T09:00:00Z"
    for types in ("XYZ", "ABC"):
        await world.send(lead("a", *((kind, "High", at) for kind in types), customer="ann", product="crm"))
    await world.hold(("", "a", "A", "High", at, 1))
    await world.check()


async def deliver(draw: Draw, world: World, sent: list[Wire]) -> None:
    """Leads in any order, some of them twice, in one partition, those of their customers, or any."""
    delivered = draw(st.permutations([*sent, *draw(st.lists(st.sampled_from(sent), max_size=4))]))
    partitions = draw(st.sampled_from(["one", "of customers", "any", "any"]))
    await world.put(*delivered, chunk_leads=draw(st.integers(1, 3)), one_partition=partitions == "one")
    if partitions == "any":
        await world.scatter()


async def any_order(draw: Draw, engine: AsyncEngine) -> None:
    """One set of leads in any order, split and redelivered anyhow, to workers that do not know of each other."""
    world, cast = await histories.begin(draw, engine)
    for _ in range(draw(st.integers(1, 2))):
        sent = [histories.lead(draw, cast, clean=True) for _ in range(draw(st.integers(1, 10)))]
        for one in sent:
            note(f"lead {one}")
            world.oracle.accept(one)
        await deliver(draw, world, sent)
        await world.work(workers=draw(st.integers(1, 4)), most_leads=draw(st.integers(1, 3)))
        await world.check(rebuilt=False)
        if draw(st.booleans()):
            await histories.event(draw, world, cast)
    await world.check()


@given(st.data())
def test_r8_order_split_redelivery_and_concurrency_change_nothing(examples: Examples, data: st.DataObject) -> None:
    examples.run(any_order(data.draw, examples.engine))


async def while_work_runs(draw: Draw, engine: AsyncEngine) -> None:
    """Products and customers that leads wait for are created, people erased, reports rebuilt while workers work."""
    world, cast = await histories.begin(draw, engine)
    if draw(st.booleans()):
        await histories.event(draw, world, cast)
    for _ in range(draw(st.integers(1, 2))):
        sent = [histories.lead(draw, cast, clean=True, waiting=True) for _ in range(draw(st.integers(1, 12)))]
        for one in sent:
            note(f"lead {one}")
            world.oracle.accept(one)
        await deliver(draw, world, sent)
        workers, most_leads, steps = draw(st.integers(1, 4)), draw(st.integers(1, 3)), histories.steps(draw, cast)
        await asyncio.gather(world.work(workers, most_leads), histories.happen(steps, world, cast))
        await world.work()
        await world.check(rebuilt=False)
    await world.check()


@given(st.data())
def test_r8_r12_what_is_created_while_work_runs_might_have_been_there_before(
    examples: Examples, data: st.DataObject
) -> None:
    examples.run(while_work_runs(data.draw, examples.engine))
