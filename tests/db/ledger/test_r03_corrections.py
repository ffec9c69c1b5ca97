"""R3: a wrong action is returned and the right one judged, in one transaction; both tell of each other."""

import asyncio

from billing.explain import Decision
from db.core.engine import transaction
from db.reports import explained_actions
from tests.builders import lead
from tests.oracle import ActionRef
from tests.world import World, action_id

APRIL, MAY = "2024-04-10T09:00:00Z", "2024-05-10T09:00:00Z"


def click(lead_id: str, level: str = "High", at: str = APRIL, occurrence: int = 1) -> ActionRef:
    return ("", lead_id, "Click", level, at, occurrence)


async def decision(world: World, reference: ActionRef) -> Decision:
    async with transaction(world.engine, readonly=True) as connection:
        line = await explained_actions.action_line(connection, action_id(reference))
    assert line is not None
    return line.decision


def outcomes(world: World) -> list[tuple[str, str, int]]:
    return [(v.action.level, v.outcome, v.billed_minor) for v in world.oracle.verdicts("acme")]


async def test_r3_a_corrected_action_is_billed_once(world: World) -> None:
    """Failed before: sent again with the right level it was billed twice, and nothing could mend it."""
    await world.send(lead("a", customer="ann", product="crm"))
    assert await world.correct(click("a"), level="Low") == world.oracle.verdicts("acme")[1].action
    assert outcomes(world) == [("high", "returned", 0), ("low", "billed", 200)]
    assert world.oracle.totals("acme", "2024-04")["billed"] == 200
    wrong, right = await decision(world, click("a")), await decision(world, click("a", "Low"))
    assert (wrong.corrected_by, wrong.corrects, wrong.reason) == (action_id(click("a", "Low")), None, "because")
    assert (right.corrected_by, right.corrects, right.reason) == (None, action_id(click("a")), None)
    await world.check()
    # Both are known now: the lead may come again as it was and as it is right.
    await world.send(lead("a", customer="ann", product="crm"))
    await world.send(lead("a", ("Click", "Low", APRIL), customer="ann", product="crm"))
    assert len(outcomes(world)) == 2
    await world.check()


async def test_r3_a_lead_that_came_again_with_the_right_action_gets_no_third_one(world: World) -> None:
    for level in ("High", "Low"):
        await world.send(lead("a", ("Click", level, APRIL), customer="ann", product="crm"))
    assert world.oracle.totals("acme", "2024-04")["billed"] == 1200
    assert await world.correct(click("a"), level="Low")
    assert outcomes(world) == [("high", "returned", 0), ("low", "billed", 200)]
    await world.check()


async def test_r3_a_frozen_action_is_credited_and_the_right_one_billed_in_the_open_month(world: World) -> None:
    await world.send(lead("a", customer="ann", product="crm"))
    assert await world.close("acme", "2024-04")
    assert await world.correct(click("a"), level="Medium")
    april, may = world.oracle.totals("acme", "2024-04"), world.oracle.totals("acme", "2024-05")
    assert (april["billed"], may["billed"], may["credits"]) == (1000, 500, 1000)
    await world.check()
    assert await world.reopen("acme", "2024-04")
    await world.check()
    assert not await world.release(click("a"))


async def test_r3_a_correction_by_instant_moves_the_action_to_its_month(world: World) -> None:
    await world.send(lead("a", customer="ann", product="crm"))
    assert await world.correct(click("a"), at=MAY)
    may = world.oracle.totals("acme", "2024-05")
    assert (may["billed"], world.oracle.totals("acme", "2024-04")["billed"]) == (1000, 0)
    await world.check()


async def test_r3_a_held_action_is_held_when_corrected(world: World) -> None:
    await world.send(lead("a", customer="ann", product="crm"))
    assert await world.hold(click("a"))
    assert await world.correct(click("a"), action_type="Signup")
    assert outcomes(world) == [("high", "returned", 0), ("high", "held", 0)]
    await world.check()


async def test_r3_a_repeated_correction_answers_the_same_even_from_two_connections(world: World) -> None:
    await world.send(lead("a", customer="ann", product="crm"))
    found = await asyncio.gather(*(world.correct(click("a"), level="Low") for _ in range(4)))
    assert len(set(found)) == 1
    assert found[0] is not None
    assert len(outcomes(world)) == 2
    await world.check()


async def test_r3_what_cannot_be_corrected_is_refused_and_nothing_is_written(world: World) -> None:
    await world.send(
        lead("a", customer="ann", product="crm"), lead("b", ("Signup", "Low", APRIL), customer="ann", product="crm")
    )
    assert await world.correct(click("a"), level="hIGH") is None  # the same
    assert await world.correct(click("a"), level="Low")
    assert await world.correct(click("a"), level="Medium") is None  # it was corrected otherwise
    assert not await world.release(click("a"))
    signup = ("", "b", "Signup", "Low", APRIL, 1)
    assert await world.return_action(signup)
    assert await world.correct(signup, level="High") is None
    assert len(outcomes(world)) == 3
    await world.check()


async def test_r3_the_chain_of_corrections_goes_back_and_forth(world: World) -> None:
    await world.send(lead("a", customer="ann", product="crm"))
    assert await world.correct(click("a"), level="Low")
    assert await world.correct(click("a", "Low"), level="High") is not None
    assert outcomes(world) == [("high", "returned", 0), ("high", "billed", 1000), ("low", "returned", 0)]
    await world.check()
