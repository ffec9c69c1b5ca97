"""The cache of partners' policies, while others change them."""

import asyncio

import asyncpg
import pytest

from db.core.engine import transaction
from db.core.errors import TRANSIENT
from db.core.row_keys import partner_uuid
from db.intake import worker_batch
from db.ledger import policies as module
from db.ledger import verdicts
from db.ledger.policies import Policies
from tests.builders import lead
from tests.world import World


async def test_r16_a_cached_policy_is_read_again_when_it_changes(world: World) -> None:
    policies, partner_id = Policies(), world.partners["acme"]
    async with transaction(world.engine) as connection:
        before = (await policies.load(connection, [partner_id]))[partner_id]
        assert (await policies.load(connection, [partner_id]))[partner_id] is before
    await world.terms("acme", "2024-05", cap="1.00")
    await world.close("acme", "2024-04")
    async with transaction(world.engine) as connection:
        after = (await policies.load(connection, [partner_id]))[partner_id]
    assert (after.version, after.closed_through, after.terms.at(202405).cap_minor) == (before.version + 1, 202404, 100)


async def test_a_full_cache_is_emptied_and_still_answers_with_what_it_loads(world: World) -> None:
    """Failed before: emptying lost a partner that was asked for together with one that was not cached."""
    await world.partner("other")
    policies, acme, other = Policies(most_cached=0), world.partners["acme"], partner_uuid("other")
    async with transaction(world.engine) as connection:
        await policies.load(connection, [acme])
        assert set(await policies.load(connection, [acme, other])) == {acme, other}


async def test_a_request_that_fails_does_not_take_the_policies_from_under_another(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: `clear` while another partner was read ended in a KeyError."""
    await world.partner("other")
    policies, acme, other = Policies(), world.partners["acme"], partner_uuid("other")
    read = module.read_policies

    async def clear_while_reading(connection: asyncpg.Connection, rows: list[asyncpg.Record]) -> object:
        found = await read(connection, rows)
        policies.clear()
        return found

    async with transaction(world.engine) as connection:
        await policies.load(connection, [acme])
        monkeypatch.setattr(module, "read_policies", clear_while_reading)
        assert set(await policies.load(connection, [acme, other])) == {acme, other}


async def test_requests_that_clear_the_cache_all_the_time_do_not_disturb_holds(world: World) -> None:
    await world.send(*(lead(f"lead {n}", customer="ann", product="crm") for n in range(5)))
    done = asyncio.Event()

    async def clear() -> None:
        while not done.is_set():
            world.policies.clear()
            await asyncio.sleep(0)

    clearing = asyncio.create_task(clear())
    await asyncio.gather(*(world.hold(("", f"lead {n}", "Click", "High", "2024-04-10T09:00:00Z", 1)) for n in range(5)))
    done.set()
    await clearing
    await world.check()


async def test_r16_the_bounds_of_a_period_are_stored_when_it_is_first_used(world: World) -> None:
    await world.send(lead(customer="ann", product="crm"))
    async with transaction(world.engine) as connection:
        rows = await connection.fetch("SELECT period FROM periods WHERE partner_id = $1", world.partners["acme"])
    assert [row["period"] for row in rows] == [202404]


async def test_r16_bounds_are_stored_also_after_a_batch_that_failed(world: World) -> None:
    """A transaction that is rolled back takes the bounds with it, so no cache may hold them as stored."""
    await world.put(lead(customer="ann", product="crm"))

    async def fail(*_: object) -> None:
        raise asyncpg.DeadlockDetectedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verdicts, "write", fail)
        with pytest.raises(TRANSIENT):
            await worker_batch.process_inbox(world.engine, world.policies, 10)
    await world.work()
    async with transaction(world.engine) as connection:
        assert await connection.fetchval("SELECT count(*) FROM periods") == 1
