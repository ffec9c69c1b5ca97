"""Partitions of the inbox: batches at the same time share no customers. They are for speed, not for right verdicts."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from db.core.engine import transaction
from db.intake import inbox, worker_batch
from db.intake.payloads import leads_from_payload
from db.ledger import judging
from db.ledger.policies import Policies
from tests.builders import Wire, lead, person
from tests.world import World, domain_leads


async def put(world: World, *sent: Wire) -> list[asyncpg.Record]:
    """One request in the inbox as the API writes it; returns its rows."""
    request = inbox.Accepted(uuid4(), "test", datetime.now(UTC), domain_leads(*sent))
    async with transaction(world.engine) as connection:
        await inbox.add(connection, [request])
        return list(await connection.fetch("SELECT * FROM inbox WHERE batch_id = $1 ORDER BY id", request.batch_id))


def of_many(*names: str) -> list[Wire]:
    """Three leads of each customer, alternating."""
    return [lead(None, customer=name, product="crm") for _ in range(3) for name in names]


async def test_a_request_is_divided_so_that_each_customer_is_in_one_partition(world: World) -> None:
    rows = await put(world, *of_many(*(f"customer {n}" for n in range(12))))
    partitions = defaultdict(set)
    for row in rows:
        for each in leads_from_payload(row["payload"]):
            partitions[each.customer].add(row["lane"])
    assert [len(of_customer) for of_customer in partitions.values()] == [1] * 12
    assert len({row["lane"] for row in rows}) > 1
    assert sorted(row["part"] for row in rows) == list(range(len(rows)))
    assert sum(row["lead_count"] for row in rows) == 36


async def test_of_a_lead_twice_in_a_request_the_first_one_stands_whatever_their_partitions(world: World) -> None:
    for number in range(8):  # among that many customers two have different partitions
        await world.customer(f"customer {number}", f"customer{number}@example.com")
    for number in range(1, 8):
        name = f"lead {number}"
        differing = [lead(name, customer=f"customer {which}", product="crm") for which in (number, 0)]
        assert len(await put(world, *differing)) == 1
    await world.work()
    async with transaction(world.engine, readonly=True) as connection:
        stored = await connection.fetch(
            "SELECT customers.external_id FROM leads JOIN customers ON customers.id = customer_id"
        )
    assert sorted(row["external_id"] for row in stored) == [f"customer {number}" for number in range(1, 8)]


async def test_of_two_ids_of_a_new_person_in_a_request_the_first_one_is_the_persons(world: World) -> None:
    described = person()
    rows = await put(
        world, *({**lead(None, customer=f"new {n}", product="crm"), "customer": described} for n in range(6))
    )
    assert len(rows) == 1


async def two_workers_at_once(world: World) -> tuple[list[int], int]:
    """How many rows each of two workers decided, and how many of them were judging at the same time."""
    at_work = most = 0
    judge_changes = judging.judge_changes

    async def slowly(*arguments: Any) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0.2)
        await judge_changes(*arguments)
        at_work -= 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "judge_changes", slowly)
        decided = await asyncio.gather(*(worker_batch.process_inbox(world.engine, Policies(), 1) for _ in range(2)))
    return sorted(decided), most


async def test_two_workers_take_different_partitions(world: World) -> None:
    await world.send(lead(None, customer="ann", product="crm"))  # whoever inserts the row of a period has others wait
    ann, bob = await put(world, *of_many("ann", "bob"))
    assert ann["lane"] != bob["lane"]
    assert await two_workers_at_once(world) == ([1, 1], 2)


async def test_a_partition_that_a_batch_has_locked_is_passed_over(world: World) -> None:
    await put(world, *of_many("ann"))
    await put(world, *of_many("ann"))
    assert await two_workers_at_once(world) == ([0, 1], 1)
    await world.work()
    async with transaction(world.engine, readonly=True) as connection:
        assert await connection.fetchval("SELECT count(*) FROM leads") == 6


async def test_one_batch_takes_some_partitions_that_do_not_fill_it_and_leaves_the_others(world: World) -> None:
    rows = await put(world, *of_many(*(f"customer {number}" for number in range(12))))
    partitions = len({row["lane"] for row in rows})
    assert partitions > 3
    assert await worker_batch.process_inbox(world.engine, world.policies, 1000) == 3
    decided = [await worker_batch.process_inbox(world.engine, world.policies, 1000) for _ in range(3)]
    assert sum(decided) == partitions - 3


async def test_a_partition_with_many_rows_is_a_batch_by_itself(world: World) -> None:
    for _ in range(120):
        await put(world, lead(None, customer="ann", product="crm"))
        await put(world, lead(None, customer="bob", product="crm"))
    assert await worker_batch.process_inbox(world.engine, world.policies, 1000) == 120
    assert await worker_batch.process_inbox(world.engine, world.policies, 1000) == 120
