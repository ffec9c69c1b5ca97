"""Batches are bounded by actions: whatever leads hold, one transaction decides so many, and one row holds so many."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from billing.actions import Outcome
from db.core.engine import create_engine, transaction
from db.core.errors import TRANSIENT
from db.core.row_keys import lead_uuid
from db.core.settings import Settings
from db.intake import decision, inbox, poison_search, request_status, worker_batch
from db.intake.arrival import Arrival
from db.intake.payloads import leads_from_payload
from db.ledger import verdicts
from tests.builders import Wire, lead
from tests.logs import capturing_log
from tests.world import World, domain_leads


def crowded(number: int, actions: int, customer: str = "ann", product: str = "crm") -> Wire:
    """A lead with so many different actions."""
    steps = [(f"Click {number}-{which}", "Low", "2024-04-10T09:00:00Z") for which in range(actions)]
    return lead(f"crowded {number}", *steps, customer=customer, product=product)


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many actions each batch decided."""
    found: list[int] = []
    process = decision.process

    async def counted(connection: asyncpg.Connection, policies: Any, arrivals: Any, *rest: Any) -> dict[Any, Outcome]:
        found.append(sum(len(arrival.lead.actions) for arrival in arrivals))
        return await process(connection, policies, arrivals, *rest)

    monkeypatch.setattr(decision, "process", counted)
    return found


async def one_row(world: World, *sent: Wire) -> UUID:
    """A request in one row of the inbox, however many actions it has, as the release before wrote it."""
    batch_id = uuid4()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inbox, "CHUNK_ACTIONS", 1_000_000)
        async with transaction(world.engine) as connection:
            await inbox.add(connection, [inbox.Accepted(batch_id, "test", datetime.now(UTC), domain_leads(*sent))])
            assert await connection.fetchval("SELECT count(*) FROM inbox WHERE batch_id = $1", batch_id) == 1
    for each in sent:
        world.oracle.accept(each)
    return batch_id


async def status_of(world: World, batch_id: UUID) -> request_status.RequestStatus:
    async with transaction(world.engine, readonly=True) as connection:
        found = await request_status.status(connection, batch_id)
    assert found is not None
    return found


async def test_a_request_is_divided_by_actions_and_a_lead_is_never_divided(world: World) -> None:
    """Failed before: a row held 500 leads, whatever those held."""
    sent = [crowded(number, 1000) for number in range(12)] + [crowded(number, 1) for number in range(12, 20)]
    await world.put(*sent)
    async with transaction(world.engine) as connection:
        rows = await connection.fetch("SELECT part, lead_count, payload FROM inbox ORDER BY id")
    leads = [leads_from_payload(row["payload"]) for row in rows]
    assert [(row["part"], row["lead_count"]) for row in rows] == [(0, 5), (1, 5), (2, 10)]
    assert [sum(len(each.actions) for each in of_row) for of_row in leads] == [5000, 5000, 2008]
    assert [each.external_id for of_row in leads for each in of_row] == [each["lead_id"] for each in sent]


async def test_the_log_of_a_batch_counts_its_requests_and_names_ten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: a line named up to a thousand."""
    log, logged = capturing_log()
    monkeypatch.setattr(worker_batch, "log", log)
    requests = [
        inbox.Accepted(uuid4(), f"request {number:02}", datetime.now(UTC), domain_leads(crowded(number, 1)))
        for number in range(12)
    ]
    async with transaction(world.engine) as connection:
        await inbox.add(connection, requests)
        await connection.execute("UPDATE inbox SET lane = 0")
    assert await worker_batch.process_inbox(world.engine, world.policies, 1000)
    (line,) = [each for each in logged if each["event"] == "leads_decided"]
    assert (line["requests"], line["request_ids"]) == (12, [f"request {number:02}" for number in range(10)])


async def test_the_number_of_a_retried_dead_letter_is_no_part_of_a_request(world: World) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inbox, "CHUNK_ACTIONS", 1)
        patch.setattr(inbox, "RETRIED_PART", 2)
        await world.put(*(crowded(number, 1) for number in range(4)))
    async with transaction(world.engine) as connection:
        parts = [row["part"] for row in await connection.fetch("SELECT part FROM inbox ORDER BY id")]
    assert parts == [0, 1, 3, 4]


async def test_no_transaction_decides_more_actions_than_a_batch_may(world: World, sizes: list[int]) -> None:
    """Failed before: a batch was bounded by its leads alone, and took all of this at once."""
    await world.accept(*(crowded(number, 45) for number in range(25)), chunk_leads=3)
    while await worker_batch.process_inbox(world.engine, world.policies, 1000, 500):
        pass
    assert sizes == [405, 405, 315]
    await world.check(rebuilt=False)


@pytest.mark.parametrize(
    ("leads", "actions", "in_a_row", "most"),
    [
        (15, 20, 100, 200),
        pytest.param(150, 1000, inbox.CHUNK_ACTIONS, inbox.MOST_ACTIONS, marks=pytest.mark.slow),
    ],
    ids=["small", "in full"],
)
async def test_six_large_requests_are_many_transactions(
    world: World,
    settings: Settings,
    sizes: list[int],
    monkeypatch: pytest.MonkeyPatch,
    leads: int,
    actions: int,
    in_a_row: int,
    most: int,
) -> None:
    """Failed before: 150 leads with 1,000 actions in each of six requests were one transaction of 900,000 actions."""
    monkeypatch.setattr(inbox, "CHUNK_ACTIONS", in_a_row)
    for request in range(6):
        sent = (crowded(request * leads + number, actions, f"customer {number % 20}") for number in range(leads))
        await world.put(*sent, one_partition=False)
    for number in range(20):
        await world.customer(f"customer {number}", f"customer{number}@example.com")
    engine = create_engine(settings, "leadger-test", for_batches=True)
    while await worker_batch.process_inbox(engine, world.policies, 1000, most):
        pass
    await engine.dispose()
    assert most / 4 < max(sizes) <= most
    assert sum(sizes) == 6 * leads * actions
    async with transaction(world.engine, readonly=True) as connection:
        assert await connection.fetchval("SELECT count(*) FROM actions") == 6 * leads * actions


async def test_a_row_that_is_too_large_is_decided_by_parts_and_waits_until_all_of_it_is(
    world: World, sizes: list[int]
) -> None:
    batch_id = await one_row(world, *(crowded(number, 10) for number in range(6)), crowded(6, 25), crowded(7, 1))
    for _ in range(4):
        assert (await status_of(world, batch_id)).state == "waiting"
        async with transaction(world.engine) as connection:
            assert await inbox.waiting_up_to(connection, 1_000_000) == 8
        assert await worker_batch.process_inbox(world.engine, world.policies, 1000, 20) == 1
    assert sizes == [20, 20, 20, 25]
    assert await worker_batch.process_inbox(world.engine, world.policies, 1000, 20) == 1
    assert await worker_batch.process_inbox(world.engine, world.policies, 1000, 20) == 0
    status = await status_of(world, batch_id)
    assert (status.state, status.accepted, status.leads["new"]) == ("done", 8, 8)
    assert (status.actions["billed"] + status.actions["capped"], sum(status.actions.values())) == (86, 86)
    async with transaction(world.engine) as connection:
        assert await connection.fetchval("SELECT count(*) FROM partly_decided") == 0
    await world.check()


async def test_what_is_quarantined_of_a_row_by_parts_is_named_once(world: World) -> None:
    sent = [crowded(number, 5, customer="eve" if number in (1, 4) else "ann") for number in range(5)]
    request = inbox.Accepted(uuid4(), "test", datetime.now(UTC), domain_leads(*sent))
    async with transaction(world.engine) as connection:
        await inbox.add(connection, [request])
        await connection.execute("UPDATE inbox SET lane = 0")
    for each in sent:
        world.oracle.accept(each)
    while await worker_batch.process_inbox(world.engine, world.policies, 1000, 10):
        pass
    status = await status_of(world, request.batch_id)
    async with transaction(world.engine, readonly=True) as connection:
        problems = await request_status.problems(connection, request.batch_id, after=None, limit=10)
    assert [problem["index"] for problem in problems] == [1, 4]
    assert (status.leads["new"], status.leads["quarantined"]) == (3, 2)
    await world.check()


async def test_a_batch_that_fails_leaves_the_parts_that_are_decided(
    world: World, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = await one_row(world, *(crowded(number, 10) for number in range(4)))
    await worker_batch.process_inbox(world.engine, world.policies, 1000, 20)

    async def fail(*_: object) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr(verdicts, "write", fail)
        with pytest.raises(TRANSIENT):
            await worker_batch.process_inbox(world.engine, world.policies, 1000, 20)
    while await worker_batch.process_inbox(world.engine, world.policies, 1000, 20):
        pass
    assert sizes == [20, 20, 10, 10]  # after a batch that was lost, half as many leads
    assert (await status_of(world, batch_id)).leads["new"] == 4
    await world.check()


async def test_the_release_before_decides_a_row_by_parts_as_a_whole_and_nothing_is_billed_twice(world: World) -> None:
    """It does not know what is decided of a row: that is a replay then (R3)."""
    batch_id = await one_row(world, *(crowded(number, 10) for number in range(4)))
    await worker_batch.process_inbox(world.engine, world.policies, 1000, 20)
    async with transaction(world.engine) as connection:
        await connection.execute("DELETE FROM partly_decided")
    await world.work()
    status = await status_of(world, batch_id)
    assert (status.leads["new"], status.leads["replayed"], status.actions["replayed"]) == (2, 2, 20)
    await world.check()


async def test_poison_in_a_row_by_parts_is_one_dead_letter(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_id = await one_row(world, *(crowded(number, 10) for number in range(4)))
    poison = lead_uuid("", "crowded 2")
    process = decision.process

    async def fail(connection: asyncpg.Connection, policies: Any, arrivals: list[Arrival], *rest: Any) -> Any:
        if any(arrival.id == poison for arrival in arrivals):
            raise ZeroDivisionError("poison")
        return await process(connection, policies, arrivals, *rest)

    monkeypatch.setattr(decision, "process", fail)
    while await worker_batch.process_inbox(world.engine, world.policies, 1000, 20):
        pass
    status = await status_of(world, batch_id)
    assert (status.state, status.leads["new"], status.leads["dead"]) == ("done", 3, 1)


async def test_customers_whose_terms_changed_are_judged_again_by_so_many_actions_in_a_batch(
    world: World, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: a batch judged all its stale customers at once, whatever they had."""
    for number in range(4):
        await world.customer(f"customer {number}", f"customer{number}@example.com")
        await world.send(crowded(number, 8, customer=f"customer {number}"))
    await world.terms("acme", "2024-04", cap="9.00")
    await world.accept(*(crowded(10 + number, 1, customer=f"customer {number}") for number in range(4)))
    monkeypatch.setattr(poison_search, "MOST_OPEN_ACTIONS", 16)
    sizes.clear()
    async with transaction(world.engine) as connection:
        await connection.execute("UPDATE inbox SET lane = 0 WHERE done_at IS NULL")
    while await worker_batch.process_inbox(world.engine, world.policies, 4):
        pass
    assert (sizes[:2], max(sizes[1:]), sum(sizes)) == ([4, 2], 2, 8)
    await world.check()
