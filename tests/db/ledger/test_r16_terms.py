"""R16 and R14: terms, rates, time zones and currency against batches, closings and each other."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.errors import RuleViolation
from billing.money import minor_from_amount
from billing.terms import CapScope, DuplicateWindow
from db.contracts import reading
from db.core import locks
from db.core.engine import transaction
from db.core.row_keys import partner_uuid
from db.intake import worker_batch
from db.ledger import policy_changes, rate_changes
from db.ledger.policies import Policies
from db.ledger.policy_changes import PartnerUpdate
from db.masters import partners
from db.masters.terms import PartnerTerms
from tests.builders import distinct, lead
from tests.world import LATER, World

APRIL, MAY, JUNE = (f"2024-0{month}-10T09:00:00Z" for month in (4, 5, 6))


async def change_partner(world: World, now: datetime = LATER, **update: Any) -> UUID | None:
    """Change "acme" by the product's use case; returns the task that re-evaluates."""
    async with world.unit_of_work() as uow:
        return await policy_changes.change_partner(
            uow, world.policies, world.partners["acme"], PartnerUpdate(**update), now
        )


async def test_r16_terms_start_no_earlier_than_the_first_open_period(world: World) -> None:
    await world.send(lead(customer="ann", product="crm"))
    assert await world.close("acme", "2024-04")
    assert not await world.terms("acme", "2024-04", cap="1.00")
    assert await world.terms("acme", "2024-05", cap="1.00")
    async with transaction(world.engine) as connection:
        starts = await reading.starts_of_versions(connection, world.partners["acme"])
    assert starts == [0, 202405]
    await world.check()


async def test_r16_terms_are_versioned_per_period_and_an_action_is_judged_by_its_billing_period(world: World) -> None:
    for at in (APRIL, MAY, JUNE):
        await world.send(*distinct(2, at, customer="ann", product="crm"))
    await world.terms("acme", "2024-06", cap="5.00")
    await world.terms("acme", "2024-05", cap=None, dedup_window=1)
    await world.settle()
    assert [world.oracle.totals("acme", period)["billed"] for period in ("2024-04", "2024-05", "2024-06")] == [
        2000,
        2000,
        500,
    ]
    await world.check()


async def test_r16_terms_keep_what_was_not_changed(world: World) -> None:
    await world.terms("acme", "2024-05", cap="1.00", dedup_window=3)
    await world.terms("acme", "2024-05", cap_scope="lifetime")
    async with transaction(world.engine) as connection:
        version = await partners.read(connection, world.partners["acme"], 202405)
    assert version is not None
    assert version.terms == PartnerTerms(100, CapScope.LIFETIME, DuplicateWindow("days", 3))


async def test_r16_a_rate_starts_no_earlier_than_the_first_open_period_of_any_partner_it_touches(world: World) -> None:
    await world.partner("other")
    assert await world.close("acme", "2024-04")
    too_early = "2024-04-30T23:59:59.999999Z"
    assert not await world.rate("1.00", action_type="Click", effective_from=too_early)
    assert not await world.rate("1.00", product="crm", effective_from=too_early)
    assert await world.rate("1.00", partner="other", effective_from=too_early)
    assert await world.rate("1.00", action_type="Click", effective_from="2024-05-01T00:00:00Z")
    await world.check()


async def test_r16_a_rate_without_a_start_starts_with_the_first_open_period(world: World) -> None:
    await world.send(
        lead(customer="ann", product="crm"), lead("later", ("Click", "Low", MAY), customer="ann", product="crm")
    )
    assert await world.close("acme", "2024-04")
    assert await world.rate("1.00", action_type="Click")
    await world.settle()
    assert (world.oracle.totals("acme", "2024-04")["gross"], world.oracle.totals("acme", "2024-05")["gross"]) == (
        1000,
        100,
    )
    await world.check()


async def test_r16_terms_change_during_ingestion(world: World) -> None:
    for number in range(30):
        await world.accept(*distinct(2, APRIL, customer=("ann", "bob")[number % 2], product="crm"))
    working = asyncio.gather(*(world.work(most_leads=2) for _ in range(3)))
    for cap in ("1.00", None, "33.33"):
        await asyncio.sleep(0.02)
        await change_partner(world, terms={"cap_minor": None if cap is None else minor_from_amount(cap)})
    await working
    world.oracle.set_terms("acme", "2024-04", cap="33.33")
    world.oracle.set_terms("acme", "2024-03", cap="33.33")
    await world.check()


async def test_r16_a_rate_for_all_partners_counts_for_one_that_is_created_at_the_same_time(engine: AsyncEngine) -> None:
    """The creation waits for the rule, which does not know the partner; the partner then finds the rule."""
    world, policies = World(engine), Policies()
    await world.customer("ann", "ann@example.com")
    async with transaction(engine) as creation_under_way:
        await locks.lock_rate_card_shared(creation_under_way)
        rate = asyncio.create_task(world.rate("3.00", action_type="Click"))
        await asyncio.sleep(0.1)
        creation = asyncio.create_task(world.partner("new"))
        await asyncio.sleep(0.1)
    await rate
    await creation
    await world.product("theirs", "new")
    await world.accept(lead(customer="ann", product="theirs"))
    await worker_batch.process_inbox(engine, policies, 10)
    await world.check()
    assert world.oracle.totals("new", "2024-04")["billed"] == 300


async def test_r16_the_partners_of_a_rule_are_read_under_the_lock(world: World) -> None:
    """Failed before: a partner that was created while the rule waited for the lock was never judged by it."""
    async with transaction(world.engine) as rule:
        async with transaction(world.engine) as creation_under_way:
            await locks.lock_rate_card_shared(creation_under_way)
            waiting = asyncio.create_task(rate_changes.lock_affected_partners(rule, None, None))
            await asyncio.sleep(0.1)
            # A partner that was created before by somebody who is only now done with it.
            values = (partner_uuid("new"), "new", "New", "EUR")
            async with transaction(world.engine) as other:
                await other.execute(
                    "INSERT INTO partners (id, external_id, name, currency) VALUES ($1, $2, $3, $4)", *values
                )
            assert not waiting.done()
        assert partner_uuid("new") in await waiting


async def test_r16_a_time_zone_starts_with_the_first_period_that_has_begun_in_neither_zone(world: World) -> None:
    now = datetime(2024, 4, 30, 12, tzinfo=UTC)
    await world.send(
        lead(customer="ann", product="crm"), *distinct(1, "2024-04-30T23:30:00Z", customer="ann", product="crm")
    )
    # May has begun on Kiritimati (+14) for two hours, and in UTC it has not.
    await change_partner(world, now=now, timezone="Pacific/Kiritimati")
    async with transaction(world.engine) as connection:
        bounds = await connection.fetch("SELECT period, starts_at, ends_at FROM periods ORDER BY period")
        policy = (await Policies().load(connection, world.partners.values()))[world.partners["acme"]]
    assert [tuple(row) for row in bounds] == [
        (202404, datetime(2024, 4, 1, tzinfo=UTC), datetime(2024, 5, 1, tzinfo=UTC)),
    ]
    assert [policy.calendar.zone_of(period) for period in (202405, 202406)] == ["UTC", "Pacific/Kiritimati"]
    assert policy.calendar.start_of(202405) == datetime(2024, 5, 1, tzinfo=UTC)
    assert policy.calendar.end_of(202405) == policy.calendar.start_of(202406) == datetime(2024, 5, 31, 10, tzinfo=UTC)
    await world.settle()
    await world.check_rebuild()


async def test_r16_a_time_zone_change_moves_actions_of_the_period_not_yet_begun(world: World) -> None:
    """An instant up to a day ahead may lie in another period after the change; its bill goes with it."""
    now = datetime(2024, 4, 30, 9, tzinfo=UTC)
    await world.send(*distinct(1, "2024-04-30T11:00:00Z", customer="ann", product="crm"))
    await change_partner(world, now=now, timezone="Pacific/Kiritimati")
    await world.settle()
    async with transaction(world.engine) as connection:
        row = await connection.fetchrow("SELECT own_period, billing_period, outcome::text FROM actions")
        bounds = await connection.fetch("SELECT period, starts_at, ends_at FROM periods ORDER BY period")
    assert row is not None
    assert tuple(row) == (202405, 202405, "billed")
    may = datetime(2024, 4, 30, 10, tzinfo=UTC)
    assert [tuple(row) for row in bounds] == [
        (202404, datetime(2024, 4, 1, tzinfo=UTC), may),
        (202405, may, datetime(2024, 5, 31, 10, tzinfo=UTC)),
    ]
    await world.check_rebuild()


async def test_r14_the_currency_is_fixed_once_there_is_an_action(world: World) -> None:
    await change_partner(world, fields={"currency": "USD"})
    await world.send(lead(customer="ann", product="crm"))
    await change_partner(world, fields={"currency": "USD", "name": "Same"})
    with pytest.raises(RuleViolation, match="USD for good"):
        await change_partner(world, fields={"currency": "EUR"})
    async with transaction(world.engine) as connection:
        assert await connection.fetchval("SELECT currency FROM partners") == "USD"


async def test_r14_a_currency_change_waits_for_the_batch_that_brings_the_first_action(world: World) -> None:
    entered = asyncio.Event()

    async def change() -> None:
        entered.set()
        await change_partner(world, fields={"currency": "USD"})

    await world.put(lead(customer="ann", product="crm"))
    lock = locks.lock_partners_shared

    async def lock_and_let_the_other_try(connection: asyncpg.Connection, partner_ids: list[object]) -> None:
        await lock(connection, partner_ids)  # type: ignore[arg-type]
        changing.append(asyncio.create_task(change()))
        await entered.wait()
        await asyncio.sleep(0.05)

    changing: list[asyncio.Task[None]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(locks, "lock_partners_shared", lock_and_let_the_other_try)
        await worker_batch.process_inbox(world.engine, Policies(), 10)
    with pytest.raises(RuleViolation):
        await changing[0]
