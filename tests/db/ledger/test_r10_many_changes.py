"""R10: many actions held, released and returned at once are judged as if each had been alone."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from billing.actions import HoldStatus
from db.core.engine import autocommit
from db.core.row_keys import customer_uuid
from db.ledger import many_changes
from db.ledger.many_changes import ManyChanges
from tests.builders import lead
from tests.world import World, action_id

Reference = tuple[str, str, str, str, str, int]
TYPES, LEVELS = ("Click", "Demo", "Call"), ("High", "Medium", "Low")


async def change(
    world: World, customer: str, chosen: Sequence[Reference], before: HoldStatus, after: HoldStatus
) -> set[UUID]:
    reasons = {action_id(each): "because" for each in chosen}
    async with world.unit_of_work() as uow:
        partner_id = world.partners["acme"]
        locked = await many_changes.lock(uow.connection, world.policies, partner_id, [customer_uuid(customer)])
        return await many_changes.change(uow.connection, locked, ManyChanges(reasons, before, after))


@pytest.mark.parametrize(
    "terms",
    [
        {"cap": "40.00"},
        {"cap": "40.00", "dedup_window": 3},
        {"cap": "60.00", "cap_scope": "lifetime", "dedup_window": "period"},
    ],
    ids=str,
)
async def test_r10_many_changes_are_judged_like_single_ones(world: World, terms: dict[str, Any]) -> None:
    assert await world.terms("acme", "2024-04", **terms)
    await world.settle()
    chance = random.Random(str(terms))
    by_customer: dict[str, list[Reference]] = defaultdict(list)
    leads = []
    for number in range(80):
        customer, product = chance.choice(("ann", "bob")), chance.choice(("crm", "erp"))
        at = f"2024-{chance.choice((4, 5)):02d}-{chance.randint(1, 12):02d}T{chance.randint(8, 9):02d}:00:00Z"
        step = chance.choice(TYPES), chance.choice(LEVELS), at
        leads.append(lead(f"lead-{number}", step, customer=customer, product=product))
        by_customer[customer].append(("", f"lead-{number}", *step, 1))
    await world.send(*leads)
    for _ in range(2):
        for customer, references in by_customer.items():
            for before, after, tell in (
                (HoldStatus.COUNTED, HoldStatus.HELD, world.oracle.hold),
                (HoldStatus.HELD, HoldStatus.COUNTED, world.oracle.release),
                (HoldStatus.HELD, HoldStatus.RETURNED, world.oracle.return_),
            ):
                chosen = chance.sample(references, len(references) // 2)
                changed = await change(world, customer, chosen, before, after)
                assert changed
                for each in chosen:
                    if action_id(each) in changed:
                        tell(each)
                await world.check(rebuilt=False)
    await world.check()


async def somebody_waits(world: World) -> None:
    """Until a transaction waits for another one."""
    async with asyncio.timeout(20), autocommit(world.engine) as connection:
        while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110 - Postgres sends no event
            await asyncio.sleep(0.01)


async def test_r10_a_lead_that_arrives_meanwhile_is_judged_by_what_is_held_then(world: World) -> None:
    """Failed without the locks: the lead saw a cap that was used up."""
    assert await world.terms("acme", "2024-04", cap="4.00")
    await world.settle()
    steps = [(name, "Low", "2024-04-10T09:00:00Z") for name in TYPES[:2]]
    await world.send(*(lead(step[0], step, customer="ann", product="crm") for step in steps))
    await world.accept(lead("late", ("Call", "Low", "2024-04-11T09:00:00Z"), customer="ann", product="crm"))
    held: list[Reference] = [("", step[0], *step, 1) for step in steps]
    async with world.unit_of_work() as uow:
        locked = await many_changes.lock(uow.connection, world.policies, world.partners["acme"], [customer_uuid("ann")])
        changes = ManyChanges({action_id(each): "because" for each in held}, HoldStatus.COUNTED, HoldStatus.HELD)
        assert len(await many_changes.change(uow.connection, locked, changes)) == 2
        arriving = asyncio.create_task(world.work())
        await somebody_waits(world)
        assert not arriving.done()
    await arriving
    for each in held:
        world.oracle.hold(each)
    await world.check()
