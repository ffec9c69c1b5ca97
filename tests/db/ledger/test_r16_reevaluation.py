"""R16: a change re-evaluates open actions. However many changes there are, one task does it, and bounded at a time."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from db.core import locks
from db.core.engine import transaction
from db.ledger import rebuild, reevaluation, verdicts
from db.ledger.case import Case, Customer
from db.ledger.policies import Policies
from tests.builders import distinct, lead
from tests.world import World

AT = "2024-04-10T09:00:00Z"


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[list[UUID]]:
    """The customers of each transaction that wrote verdicts."""
    found: list[list[UUID]] = []
    write = verdicts.write

    async def noted(connection: asyncpg.Connection, cases: Sequence[Case]) -> None:
        found.append([case.customer[1] for case in cases])
        await write(connection, cases)

    monkeypatch.setattr(verdicts, "write", noted)
    return found


async def unfinished(world: World) -> list[UUID]:
    async with transaction(world.engine, readonly=True) as connection:
        rows = await connection.fetch("SELECT id FROM tasks WHERE kind = $1 AND finished_at IS NULL", reevaluation.KIND)
    return [row["id"] for row in rows]


async def many_customers(world: World, actions: Sequence[int]) -> list[UUID]:
    """Customers with so many actions each."""
    customers = [await world.customer(f"customer {n}", f"customer{n}@example.com") for n in range(len(actions))]
    for number, count in enumerate(actions):
        await world.accept(*distinct(count, AT, customer=f"customer {number}", product="crm"))
    await world.work()
    return customers


async def test_r16_a_transaction_judges_so_many_actions_and_a_customer_with_more_is_alone(
    world: World, judged: list[list[UUID]]
) -> None:
    """Failed before: a hundred customers at a time, whatever they had."""
    customers = await many_customers(world, [4, 4, 4, 30, 4])
    await world.terms("acme", "2024-04", cap="20.00")
    judged.clear()
    sizes = dict(zip(customers, [4, 4, 4, 30, 4], strict=True))
    while await reevaluation.rejudge_some_stale(world.engine, world.policies, [world.partners["acme"]], 10):
        pass
    of_transactions = [[sizes[customer] for customer in some] for some in judged if some]
    assert all(sum(of_one) <= 10 or of_one == [30] for of_one in of_transactions)
    assert sorted(size for of_one in of_transactions for size in of_one) == [4, 4, 4, 4, 30]
    await world.check()


async def test_r16_two_tasks_never_judge_the_same_customer(world: World, judged: list[list[UUID]]) -> None:
    """Failed before: both read the same stale customers, and the second judged them once more."""
    await many_customers(world, [2] * 12)
    await world.terms("acme", "2024-04", cap="15.00")
    judged.clear()

    async def task() -> None:
        policies = Policies()
        while await reevaluation.rejudge_some_stale(world.engine, policies, [world.partners["acme"]], 4):
            pass

    await asyncio.gather(task(), task(), task())
    await world.settle()
    times = Counter(customer for some in judged for customer in some)
    assert set(times.values()) == {1}
    assert len(times) == 12
    await world.check()


async def test_r16_a_customer_that_somebody_has_locked_is_passed_over(world: World) -> None:
    first, second = await many_customers(world, [1, 1])
    acme = world.partners["acme"]
    await world.terms("acme", "2024-04", cap="5.00")
    async with transaction(world.engine) as other:
        await locks.lock_customers(other, [(acme, first)])
        assert await reevaluation.rejudge_some_stale(world.engine, world.policies, [acme]) == [(acme, second)]
        assert await reevaluation.rejudge_some_stale(world.engine, world.policies, [acme]) == []
    assert await reevaluation.rejudge_some_stale(world.engine, world.policies, [acme]) == [(acme, first)]
    await world.check()


async def test_r16_only_who_is_judged_is_locked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed before: leads of up to a hundred others waited, for seconds, for one with many actions."""
    acme, write = world.partners["acme"], verdicts.write
    everybody = [(acme, customer) for customer in await many_customers(world, [6, 1, 1])]
    await world.terms("acme", "2024-04", cap="5.00")
    locked: list[Customer] = []

    async def look(connection: asyncpg.Connection, cases: Sequence[Case]) -> None:
        async with transaction(world.engine) as other:
            free = await locks.lock_free_customers(other, everybody)
        assert set(free) == set(everybody) - {case.customer for case in cases}
        locked.extend(set(everybody) - set(free))
        await write(connection, cases)

    with monkeypatch.context() as patch:
        patch.setattr(verdicts, "write", look)
        while await reevaluation.rejudge_some_stale(world.engine, world.policies, [acme], 5):
            pass
    assert sorted(locked) == sorted(everybody)
    await world.check()


async def test_a_rebuild_judges_a_customer_with_many_actions_alone(
    world: World, judged: list[list[UUID]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: those before it in the same transaction were locked as long."""
    customers = await many_customers(world, [1, 6, 1, 1])
    monkeypatch.setattr(rebuild, "ACTIONS_AT_ONCE", 5)
    judged.clear()
    await world.rebuild(world.partners["acme"], 202404)
    assert [customers[1]] in judged
    assert sorted(customer for some in judged for customer in some) == sorted(customers)


async def test_r16_one_partner_with_many_customers_leaves_room_for_the_others(world: World) -> None:
    for number in range(4):
        await world.partner(f"partner {number}")
        await world.product(f"product {number}", f"partner {number}")
    partners = [world.partners[f"partner {number}"] for number in range(4)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reevaluation, "CUSTOMERS_AT_ONCE", 8)
        await world.send(*(lead(customer=name, product="product 0") for name in ("ann", "bob")))
        for number in range(1, 4):
            await world.send(lead(customer="ann", product=f"product {number}"))
        for number in range(5):
            await world.customer(f"more {number}", f"more{number}@example.com")
            await world.send(lead(customer=f"more {number}", product="product 0"))
        await world.rate("7.00")
        first = await reevaluation.rejudge_some_stale(world.engine, world.policies, partners)
    assert Counter(partner for partner, _ in first) == dict(zip(partners, [2, 1, 1, 1], strict=True))
    await world.check()


async def test_r16_twenty_changes_are_one_task(world: World) -> None:
    """Failed before: each change of rates made a task of its own."""
    await many_customers(world, [1] * 3)
    for number in range(20):
        await world.rate("3.00", action_type=f"Type {number}")
    assert len(await unfinished(world)) == 1
    await world.check()


async def test_r16_no_change_relies_on_a_task_that_has_looked_already(world: World) -> None:
    """A change that finds the task unfinished keeps it from ending; one that comes too late starts another."""
    await many_customers(world, [1])
    await world.terms("acme", "2024-04", cap="5.00")
    (task_id,) = await unfinished(world)
    await world.settle()
    looked: asyncio.Task[Any]

    async def end() -> bool:
        async with transaction(world.engine) as connection:
            seen = await reevaluation.changes(connection)
            return await reevaluation.end(connection, task_id, {"customers": 1}, seen)

    async with world.unit_of_work() as uow:
        await uow.connection.execute("UPDATE partners SET policy_version = policy_version + 1")
        assert await reevaluation.start(uow) == task_id
        looked = asyncio.create_task(end())
        await asyncio.sleep(0.2)
        assert not looked.done()
    world.policies.clear()
    assert await looked is False
    assert await unfinished(world) == [task_id]
    await world.settle()
    assert await end() is True
    async with world.unit_of_work() as uow:
        assert await reevaluation.start(uow) != task_id
