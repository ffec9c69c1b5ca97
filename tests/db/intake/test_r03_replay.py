"""R3: sending a lead again changes nothing; more actions are added; a known lead that differs is a conflict."""

import pytest

from db.core.engine import transaction
from db.intake import request_status
from db.intake.request_status import RequestStatus
from tests.builders import Wire, lead
from tests.world import World

AT = "2024-04-10T09:00:00Z"
CLICK, SIGNUP = ("Click", "High", AT), ("Signup", "Low", AT)


async def last_status(world: World) -> RequestStatus:
    async with transaction(world.engine, readonly=True) as connection:
        (_, status), *_ = await request_status.page(connection, before=None, limit=1)
    return status


async def counted(world: World) -> tuple[int, int]:
    async with transaction(world.engine, readonly=True) as connection:
        row = await connection.fetchrow("SELECT (SELECT count(*) FROM leads), (SELECT count(*) FROM actions)")
    assert row is not None
    return tuple(row)


async def test_r3_the_same_lead_again_is_counted_as_replayed(world: World) -> None:
    one = lead("a", CLICK, SIGNUP, customer="ann", product="crm")
    await world.send(one)
    await world.send(one)
    status = await last_status(world)
    assert status.leads == {"new": 0, "extended": 0, "replayed": 1, "quarantined": 0}
    assert status.actions["replayed"] == 2
    assert sum(status.actions.values()) == 2
    assert await counted(world) == (1, 2)
    await world.check()


async def test_r3_a_lead_sent_again_with_more_actions_adds_the_new_ones(world: World) -> None:
    await world.send(lead("a", CLICK, customer="ann", product="crm"))
    await world.send(lead("a", SIGNUP, CLICK, customer="ann", product="crm"))
    status = await last_status(world)
    assert (status.leads["extended"], status.actions["replayed"], status.actions["billed"]) == (1, 1, 1)
    assert await counted(world) == (1, 2)
    await world.check()


async def test_r3_a_lead_holds_as_many_identical_actions_as_the_message_with_the_most(world: World) -> None:
    for times in (2, 1, 3, 3):
        await world.send(lead("a", *[CLICK] * times, customer="ann", product="crm"))
    assert await counted(world) == (1, 3)
    await world.check()


@pytest.mark.parametrize(
    "other",
    [{"customer": "bob"}, {"product": "erp"}, {"lead_type": "Referral"}, {"product": "unknown"}],
)
async def test_r3_a_known_lead_that_differs_is_a_conflict_and_the_first_one_stands(
    world: World, other: dict[str, str]
) -> None:
    same = {"customer": "ann", "product": "crm"}
    await world.send(lead("a", CLICK, **same))
    await world.send(lead("a", CLICK, SIGNUP, **same | other))
    status = await last_status(world)
    assert status.leads["quarantined"] == 1
    async with transaction(world.engine, readonly=True) as connection:
        problems = await request_status.problems(connection, status.batch_id, after=None, limit=10)
    assert [problem["reason"] for problem in problems] == ["conflict"]
    assert await counted(world) == (1, 1)
    await world.check()


async def test_r3_lead_types_compare_case_folded(world: World) -> None:
    await world.send(lead("a", CLICK, customer="ann", product="crm", lead_type="Website Visit"))
    await world.send(lead("a", ("CLICK", "high", AT), customer="ann", product="crm", lead_type="WEBSITE visit"))
    assert (await last_status(world)).leads["replayed"] == 1


async def test_r3_one_request_may_hold_a_lead_twice(world: World) -> None:
    first = lead("a", CLICK, customer="ann", product="crm")
    await world.send(
        first, first, lead("a", SIGNUP, customer="ann", product="crm"), lead("a", customer="bob", product="crm")
    )
    assert (await last_status(world)).leads == {"new": 1, "extended": 1, "replayed": 1, "quarantined": 1}
    await world.check()


async def test_r3_the_same_lead_in_ten_concurrent_batches(world: World) -> None:
    sent: list[Wire] = [lead(f"lead {n}", CLICK, SIGNUP, customer="ann", product="crm") for n in range(5)]
    for one in sent:
        world.oracle.accept(one)
    for number in range(10):
        await world.put(*sent[number % 5 :], *sent[: number % 5])
    await world.work(workers=4, most_leads=1)
    assert await counted(world) == (5, 10)
    await world.check()


async def test_r3_the_same_new_lead_for_two_customers_in_concurrent_batches(world: World) -> None:
    for number in range(20):
        await world.put(lead(f"lead {number}", CLICK, customer="ann", product="crm"))
        await world.put(lead(f"lead {number}", CLICK, customer="bob", product="crm"))
    await world.work(workers=4, most_leads=1)
    assert await counted(world) == (20, 20)
    async with transaction(world.engine) as connection:
        assert await connection.fetchval("SELECT count(*) FROM quarantine WHERE reason = 'conflict'") == 20


async def test_r4_a_replay_is_no_duplicate_and_no_savings(world: World) -> None:
    again = lead("a", CLICK, customer="ann", product="crm")
    await world.send(again, again)
    await world.send(again)
    assert world.oracle.totals("acme", "2024-04")["duplicate_savings"] == 0
    await world.check()
    await world.send(lead("b", CLICK, customer="ann", product="crm", lead_type="Referral"))
    assert world.oracle.totals("acme", "2024-04")["duplicate_savings"] == 1000
    await world.check()


async def test_r4_identical_actions_inside_a_lead_are_different_actions(world: World) -> None:
    await world.send(lead("a", CLICK, CLICK, customer="ann", product="crm"))
    totals = world.oracle.totals("acme", "2024-04")
    assert (totals["billed"], totals["duplicate_savings"]) == (1000, 1000)
    await world.check()


async def test_r6_midnight_of_1970_under_changing_windows(world: World) -> None:
    """Failed before: its window bucket was that of "for ever", and the lead could never be billed."""
    await world.send(lead("a", ("Click", "High", "1970-03-01T00:00:00Z"), customer="ann", product="crm"))
    assert await world.close("acme", "1970-03")
    await world.terms("acme", "1970-04", dedup_window=3)
    await world.send(lead("b", ("Click", "High", "1970-01-01T00:00:00Z"), customer="ann", product="crm"))
    assert [v.outcome for v in world.oracle.verdicts("acme")] == ["billed", "billed"]
    await world.check()
