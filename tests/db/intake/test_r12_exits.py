"""R12: what leaves the quarantine was decided, superseded or discarded by a person with a reason."""

import asyncio

import pytest

from billing.leads import Person
from db.core.engine import transaction
from db.intake import dead_letters, quarantine, worker_batch
from db.ledger.policies import Policies
from db.masters import customers, products
from tests.builders import Step, lead
from tests.world import World

CLICK: Step = ("Click", "High", "2024-04-10T09:00:00Z")
SIGNUP: Step = ("Signup", "Low", "2024-04-10T09:00:00Z")


async def states(world: World) -> dict[str, list[str]]:
    """The reasons of the quarantined leads in each state that there is."""
    found = {}
    async with transaction(world.engine, readonly=True) as connection:
        for state in ("open", "decided", "superseded", "discarded"):
            page = await quarantine.page(connection, reason=None, after=0, limit=100, state=state)
            assert {each.state for each in page} <= {state}
            if page:
                found[state] = [each.reason for each in page]
    return found


async def test_r12_a_lead_sent_again_right_supersedes_what_was_wrong(world: World) -> None:
    for wrong in ({"customer": "nobody", "product": "crm"}, {"customer": "ann", "product": "nothing"}):
        await world.send(lead("a", CLICK, SIGNUP, **wrong))
    assert await states(world) == {"open": ["unknown_customer", "unknown_product"]}
    await world.send(lead("a", CLICK, customer="ann", product="crm"))
    assert await states(world) == {"superseded": ["unknown_customer", "unknown_product"]}
    async with transaction(world.engine) as connection:
        exits = await connection.fetch("SELECT state, left_by, reason FROM quarantine_exits")
    assert {tuple(row) for row in exits} == {("superseded", "system", "The lead came again and was decided.")}
    await world.product("nothing", "acme")  # what was superseded does not come back
    assert await states(world) == {"superseded": ["unknown_customer", "unknown_product"]}
    await world.check()


async def test_r12_a_conflict_leaves_when_the_lead_comes_as_it_is_on_record(world: World) -> None:
    right = lead("a", CLICK, customer="ann", product="crm")
    await world.send(right)
    await world.send(lead("a", CLICK, customer="bob", product="crm"))
    await world.send(lead("b", CLICK, customer="ann", product="crm"))
    assert await states(world) == {"open": ["conflict"]}
    await world.send(right)
    assert await states(world) == {"superseded": ["conflict"]}
    await world.send(lead("a", CLICK, customer="bob", product="crm"))
    assert await states(world) == {"open": ["conflict"]}
    await world.check()


@pytest.mark.parametrize("differing", ["lead type", "own id"])
async def test_r12_a_conflict_about_the_same_product_and_person_leaves_too(world: World, differing: str) -> None:
    right = lead("a", CLICK, customer="ann", product="crm")
    right["actions"][0]["id"] = "1"
    wrong = right | {"lead_type": "Another"}
    if differing == "own id":
        wrong = lead("a", SIGNUP, customer="ann", product="crm")
        wrong["actions"][0]["id"] = "1"
    await world.send(right)
    await world.send(wrong)
    reason = "conflict" if differing == "lead type" else "action_conflict"
    assert await states(world) == {"open": [reason]}
    await world.send(right)
    assert await states(world) == {"superseded": [reason]}
    await world.check()


async def test_r12_of_one_request_no_lead_supersedes_another(world: World) -> None:
    right = lead("a", CLICK, customer="ann", product="crm")
    await world.send(right, lead("a", CLICK, customer="bob", product="crm"), right)
    assert await states(world) == {"open": ["conflict"]}


async def test_r12_what_agrees_is_decided_itself_so_that_no_action_is_lost(world: World) -> None:
    await world.send(lead("a", CLICK, SIGNUP, customer="eve", product="crm"))
    async with transaction(world.engine) as connection:  # known, and nobody looked at the quarantine yet
        described = {"eve": Person("Eve", "eve@example.com")}
        await customers.ensure(connection, described)
    world.oracle.add_customer("eve", "eve@example.com", "Eve")
    await world.accept(lead("a", CLICK, customer="eve", product="crm"))
    assert await worker_batch.process_inbox(world.engine, Policies(), 10) == 1
    assert await states(world) == {"open": ["unknown_customer"]}
    await world.empty_quarantine()
    assert await states(world) == {"decided": ["unknown_customer"]}
    assert len(world.oracle.verdicts("acme")) == 2
    await world.check()


async def test_r12_a_person_discards_with_a_reason_and_sent_again_it_is_open_again(world: World) -> None:
    wrong = lead("a", CLICK, customer="nobody", product="crm")
    await world.send(wrong, lead("b", CLICK, customer="nobody", product="crm"))
    async with transaction(world.engine) as connection:
        first, _ = await quarantine.page(connection, reason=None, after=0, limit=10)

    async def discard() -> list[int]:
        async with world.unit_of_work() as uow:
            return await quarantine.discard(uow, [first.id, first.id + 1_000_000], "a test row")

    both = await asyncio.gather(discard(), discard())
    assert sorted(both) == [[], [first.id]]
    assert await states(world) == {"open": ["unknown_customer"], "discarded": ["unknown_customer"]}
    await world.customer("nobody", "nobody@example.com")
    async with transaction(world.engine) as connection:
        assert await connection.fetchval("SELECT array_agg(external_id) FROM leads") == ["b"]
        assert await connection.fetchval("SELECT reason FROM quarantine_exits") == "a test row"
        assert (await quarantine.page(connection, reason=None, after=0, limit=10)) == []
    await world.put(lead("a", CLICK, customer="nobody", product="nothing"))
    await world.work()
    assert await states(world) == {
        "open": ["unknown_product"], "discarded": ["unknown_customer"], "decided": ["unknown_customer"]
    }  # fmt: skip


async def test_r12_a_retry_goes_on_behind_leads_that_stay(world: World) -> None:
    """Failed before: it ended when a whole batch of leads stayed, with others behind them that could be decided."""
    for number in range(3):
        await world.accept(lead(f"stays {number}", CLICK, customer="nobody", product="new"))
    await world.accept(lead("billed", CLICK, customer="ann", product="new"))
    await world.work()
    async with world.unit_of_work() as uow:
        await products.create(uow, "new", world.partners["acme"], {"name": "New"})
    seen = []

    async def between(looked_at: int, released: int) -> None:
        seen.append((looked_at, released))

    assert await worker_batch.retry_quarantined(world.engine, Policies(), most=1, between=between) == 1
    assert seen == [(0, 0), (1, 0), (2, 0), (3, 0), (4, 1)]
    assert (await states(world))["open"] == ["unknown_customer"] * 3


async def test_a_retry_of_dead_letters_says_what_is_left_and_does_not_try_again_what_fails_again(world: World) -> None:
    async with transaction(world.engine) as connection:
        await connection.execute(
            """
            INSERT INTO dead_letters (inbox_id, batch_id, received_at, lead_id, payload, error)
            SELECT 0, gen_random_uuid(), now(), CASE WHEN n > 2 THEN gen_random_uuid() END, '{}', 'broken'
            FROM generate_series(1, 5) AS n
            """
        )
    counts: list[tuple[int, int]] = []
    within = None
    while within is not None or not counts:
        async with world.unit_of_work() as uow:
            done = await dead_letters.retry(uow, None, within, most=2)
            await uow.connection.execute(
                "INSERT INTO dead_letters (inbox_id, batch_id, received_at, lead_id, payload, error)"
                " VALUES (0, gen_random_uuid(), now(), gen_random_uuid(), '{}', 'failed again')"
            )
        counts.append((done.retried, done.of))
        within = done.left
    assert counts == [(0, 5), (2, 3), (1, 1)]


async def test_r12_what_came_before_supersedes_nothing_that_came_after_it(world: World) -> None:
    await world.send(lead("a", CLICK, customer="nobody", product="crm"))
    await world.accept(lead("a", CLICK, customer="ann", product="crm"))
    async with transaction(world.engine) as connection:  # it has waited longer, in a partition that another batch had
        await connection.execute("UPDATE inbox SET received_at = received_at - interval '1 hour'")
    await world.work()
    assert await states(world) == {"open": ["unknown_customer"]}
