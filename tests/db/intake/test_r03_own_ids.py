"""R3: an action may carry the caller's own id: (lead, that id) is its identity then, and other content a conflict."""

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from db.core.engine import transaction
from db.intake import request_status
from db.intake.request_status import RequestStatus
from tests.builders import Wire
from tests.oracle import ActionId
from tests.world import World, action_id

AT = "2024-04-10T09:00:00Z"
INSTANT = datetime(2024, 4, 10, 9, tzinfo=UTC)


def lead(lead_id: str, *actions: tuple[str | None, str, str], customer: str = "ann", product: str = "crm") -> Wire:
    """A lead with actions at one instant: own id, type, level."""
    return {
        "lead_id": lead_id,
        "customer_id": customer,
        "product_id": product,
        "lead_type": "Website Visit",
        "actions": [
            {"id": own_id, "action_type": action_type, "engagement_level": level, "timestamp": AT}
            for own_id, action_type, level in actions
        ],
    }


async def last_status(world: World) -> RequestStatus:
    async with transaction(world.engine, readonly=True) as connection:
        (_, status), *_ = await request_status.page(connection, before=None, limit=1)
    return status


async def rows(world: World, table: str) -> int:
    async with transaction(world.engine, readonly=True) as connection:
        number: int = await connection.fetchval(f"SELECT count(*) FROM {table}")
    return number


async def test_r3_an_own_id_is_the_identity_so_two_ids_are_two_actions_and_one_id_is_one(world: World) -> None:
    await world.send(lead("a", ("1", "Click", "High"), ("2", "Click", "High"), ("1", "CLICK", "high")))
    await world.send(lead("a", ("2", "Click", "High")))
    status = await last_status(world)
    assert (status.leads["replayed"], status.actions["replayed"]) == (1, 1)
    assert [(v.action.own_id, v.outcome) for v in world.oracle.verdicts("acme")] in (
        [("1", "billed"), ("2", "duplicate")],
        [("2", "billed"), ("1", "duplicate")],
    )
    async with transaction(world.engine, readonly=True) as connection:
        stored = await connection.fetch("SELECT action_id, external_id FROM action_external_ids ORDER BY external_id")
    expected = [(action_id(ActionId("", "a", "click", "high", INSTANT, 1, own_id)), own_id) for own_id in "12"]
    assert [tuple(row) for row in stored] == expected
    await world.check()


async def test_r3_an_action_without_an_id_writes_no_row_for_one(world: World) -> None:
    await world.send(lead("a", (None, "Click", "High")))
    assert (await rows(world, "actions"), await rows(world, "action_external_ids")) == (1, 0)
    await world.check()


@pytest.mark.parametrize("other", [("1", "Signup", "High"), ("1", "Click", "Low")])
async def test_r3_an_own_id_with_other_content_is_a_conflict_and_the_first_one_stands(
    world: World, other: tuple[str, str, str]
) -> None:
    await world.send(lead("a", ("1", "Click", "High")))
    await world.send(lead("a", other, ("2", "Demo", "High")))
    status = await last_status(world)
    assert status.leads == {"new": 0, "extended": 0, "replayed": 0, "quarantined": 1}
    async with transaction(world.engine, readonly=True) as connection:
        (problem,) = await request_status.problems(connection, status.batch_id, after=None, limit=10)
    differing = "type" if other[1] != "Click" else "level"
    assert (problem["reason"], problem["detail"]) == (
        "action_conflict",
        f"Action '1' of lead 'a' is known with another {differing}; the first one stands.",
    )
    assert await rows(world, "actions") == 1
    assert world.oracle.totals("acme", "2024-04")["billed"] == 1000
    await world.check()


async def test_r3_of_two_messages_in_one_request_the_first_one_stands(world: World) -> None:
    await world.send(lead("a", ("1", "Click", "High")), lead("a", ("1", "Click", "Low"), ("2", "Demo", "Low")))
    assert (await last_status(world)).leads == {"new": 1, "extended": 0, "replayed": 0, "quarantined": 1}
    assert await rows(world, "actions") == 1
    await world.check()


async def test_r3_an_own_id_that_is_a_uuid_has_no_letter_case(world: World) -> None:
    own_id = "0f0e0d0c-0b0a-4908-8706-05040302010f"
    await world.send(lead("a", (own_id, "Click", "High")))
    await world.send(lead("a", (own_id.upper(), "Click", "High")))
    assert (await last_status(world)).leads["replayed"] == 1
    await world.check()


async def test_r3_the_order_of_arrival_does_not_tell_which_of_two_equal_actions_is_billed(world: World) -> None:
    """Failed before: actions that differ only in their own ids had the same place in the order of R8."""
    actions = [(own_id, "Click", "High") for own_id in ("x", "y", "z")]
    for number, order in enumerate(itertools.permutations(actions)):
        for one in order:
            await world.send(lead(f"lead {number}", one) | {"product_id": "crm" if number % 2 else "erp"})
    await world.check()


async def test_r3_a_corrected_action_may_come_as_it_was_and_as_it_is_right_and_no_other_way(world: World) -> None:
    await world.send(lead("a", ("1", "Click", "High")))
    right = await world.correct(ActionId("", "a", "click", "high", INSTANT, 1, "1"), level="Low")
    assert right == ActionId("", "a", "click", "low", INSTANT, 1)
    for level, state in (("High", "replayed"), ("Low", "replayed"), ("Medium", "quarantined")):
        await world.send(lead("a", ("1", "Click", level)))
        assert (await last_status(world)).leads[state] == 1
    assert world.oracle.totals("acme", "2024-04")["billed"] == 200
    await world.check()


async def test_r3_a_correction_counts_its_occurrence_among_actions_without_ids(world: World) -> None:
    """The right one has the identity that it would have had if it had been sent so, so it comes again as a replay."""
    await world.send(lead("a", (None, "Click", "High"), ("1", "Click", "Low")))
    await world.return_action(ActionId("", "a", "click", "low", INSTANT, 1, "1"))
    assert await world.correct(("", "a", "Click", "High", AT, 1), level="Low")
    await world.send(lead("a", (None, "Click", "Low")))
    assert (await last_status(world)).leads["replayed"] == 1
    await world.check()


async def test_r3_the_same_lead_with_ids_in_ten_concurrent_batches(world: World) -> None:
    sent: list[Any] = [lead(f"lead {n}", ("1", "Click", "High"), ("2", "Signup", "Low")) for n in range(5)]
    for one in sent:
        world.oracle.accept(one)
    for number in range(10):
        await world.put(*sent[number % 5 :], *sent[: number % 5])
    await world.work(workers=4, most_leads=1)
    assert (await rows(world, "actions"), await rows(world, "action_external_ids")) == (10, 10)
    await world.check()
