"""R3: a lead that comes again with an action that differs from a stored one in level or type only is told of."""

from typing import Any

from db.core.engine import transaction
from db.intake import request_status
from tests.builders import Step, Wire, lead
from tests.oracle import ActionId, ActionRef
from tests.world import World, action_id

AT, LATER = "2024-04-10T09:00:00Z", "2024-04-10T09:00:01Z"
CLICK, LOW, SIGNUP = ("Click", "High", AT), ("Click", "Low", AT), ("Signup", "High", AT)


def of(*steps: Step) -> Wire:
    return lead("a", *steps, customer="ann", product="crm")


def key(step: Step) -> str:
    reference: ActionRef = ("", "a", *step, 1)
    return str(action_id(reference))


async def corrections(world: World) -> list[dict[str, Any]]:
    """The possible corrections of the last request, which its status counts."""
    async with transaction(world.engine, readonly=True) as connection:
        (_, status), *_ = await request_status.page(connection, before=None, limit=1)
        found = await request_status.possible_corrections(connection, status.batch_id, after=None, limit=100)
    assert status.possible_correction_count == len(found)
    return found


async def test_r3_another_level_or_type_at_the_same_instant_is_a_possible_correction(world: World) -> None:
    await world.send(of(CLICK))
    assert await corrections(world) == []
    await world.send(of(LOW))
    expected = {"index": 0, "lead_id": "a", "action_id": key(LOW), "stored_action_id": key(CLICK)}
    assert await corrections(world) == [expected | {"differs": "engagement_level", "stored": "High", "sent": "Low"}]
    await world.send(of(LOW))  # a replay
    assert await corrections(world) == []
    await world.send(of(SIGNUP))
    expected = {"index": 0, "lead_id": "a", "action_id": key(SIGNUP), "stored_action_id": key(CLICK)}
    assert await corrections(world) == [expected | {"differs": "action_type", "stored": "Click", "sent": "Signup"}]
    await world.check()


async def test_r3_what_is_no_correction(world: World) -> None:
    await world.send(of(CLICK))
    for again in (
        of(CLICK, LOW),  # the stored one is still said to be right
        of(("Click", "Medium", LATER)),  # another instant
        of(("Demo", "Medium", AT)),  # two things differ, also from Low
        lead("b", ("Click", "Medium", AT), customer="ann", product="crm"),  # another lead
    ):
        await world.send(again)
        assert await corrections(world) == []
    await world.check()


async def test_r3_what_was_returned_or_corrected_needs_no_correction(world: World) -> None:
    await world.send(of(CLICK))
    assert await world.return_action(("", "a", *CLICK, 1))
    await world.send(of(LOW))
    assert await corrections(world) == []


async def test_r3_two_actions_with_ids_of_their_own_are_two(world: World) -> None:
    first, second = of(CLICK), of(LOW)
    first["actions"][0]["id"], second["actions"][0]["id"] = "1", "2"
    await world.send(first)
    await world.send(second)
    assert await corrections(world) == []
    unnamed = of(("Click", "Medium", AT))
    await world.send(unnamed)
    (found,) = await corrections(world)
    assert found["stored_action_id"] in {
        str(action_id(ActionId("", "a", "click", level, world.oracle.verdicts("acme")[0].action.instant, 1, own_id)))
        for level, own_id in (("high", "1"), ("low", "2"))
    }


async def test_r3_of_two_messages_in_one_request_the_later_one_may_correct(world: World) -> None:
    await world.send(of(CLICK), of(LOW))
    assert [(each["index"], each["differs"]) for each in await corrections(world)] == [(1, "engagement_level")]
