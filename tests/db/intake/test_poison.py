"""Poison leads and faults of the moment: the rest is billed, nothing is lost, nothing is billed twice."""

import asyncio
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from billing.actions import Action
from db.core.engine import transaction
from db.core.errors import TRANSIENT
from db.core.row_keys import lead_uuid
from db.core.unit_of_work import unit_of_work
from db.intake import (
    dead_letters,
    decision,
    inbox,
    matching,
    quarantine,
    request_status,
    stored_leads,
    worker_batch,
)
from db.intake.arrival import Arrival
from db.intake.dead_letters import DeadLetter
from db.ledger import counting, verdicts, winners
from db.ledger.policies import Policies
from tests.builders import Wire, distinct, lead
from tests.world import World, domain_leads

AT = "2024-04-10T09:00:00Z"


def poisoned(customer: str = "ann", product: str = "crm") -> Wire:
    return lead("poison", ("Poison", "High", AT), customer=customer, product=product)


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Valuing an action of the type "Poison" fails."""
    make = matching.price_action

    def fail(arrival: Arrival, *rest: Any) -> Action:
        if arrival.lead.actions[0].action_type == "Poison":
            raise ZeroDivisionError("poison")
        return make(arrival, *rest)

    monkeypatch.setattr(matching, "price_action", fail)
    return monkeypatch


async def letters(world: World) -> list[DeadLetter]:
    async with transaction(world.engine, readonly=True) as connection:
        return await dead_letters.page(connection, after=0, limit=100)


async def retry(world: World) -> int:
    async with unit_of_work(world.engine, lambda *_: None) as uow:
        return (await dead_letters.retry(uow, None)).retried


async def test_a_poison_lead_in_500_is_a_dead_letter_and_the_rest_is_billed(
    world: World, poison: pytest.MonkeyPatch
) -> None:
    good = distinct(99, AT, customer="bob", product="erp")
    await world.put(*good[:50], poisoned(), *good[50:])
    await world.work()
    for one in good:
        world.oracle.accept(one)
    await world.check()
    (letter,) = await letters(world)
    assert letter.error == "ZeroDivisionError('poison')"
    async with transaction(world.engine, readonly=True) as connection:
        status = await request_status.status(connection, letter.batch_id)
    assert status is not None
    assert (status.state, status.leads["new"], status.leads["dead"]) == ("done", 99, 1)


async def test_leads_that_fail_only_together_are_isolated_and_the_rest_is_billed(world: World) -> None:
    """Failed before: each half of them could be decided alone, so nothing was isolated, and all waited for ever."""
    ann, bob = distinct(5, AT, customer="ann", product="crm"), distinct(2, AT, customer="bob", product="erp")
    async with transaction(world.engine) as connection:
        await connection.execute("ALTER TABLE customer_periods ADD CONSTRAINT too_many CHECK (actions <= 3)")
    await world.put(ann[0], ann[1], bob[0], ann[2], ann[3], ann[4], bob[1])
    await worker_batch.process_inbox(world.engine, world.policies, 100)
    for one in (*ann[:3], *bob):
        world.oracle.accept(one)
    first, second = await letters(world)
    assert {first.lead_id, second.lead_id} == {lead_uuid(*one.identity) for one in domain_leads(*ann[3:])}
    assert "too_many" in first.error
    async with transaction(world.engine, readonly=True) as connection:
        status = await request_status.status(connection, first.batch_id)
    assert status is not None
    assert (status.state, status.leads["new"], status.leads["dead"]) == ("done", 5, 2)
    assert "replayed" not in status.leads or status.leads["replayed"] == 0
    async with transaction(world.engine) as connection:
        await connection.execute("ALTER TABLE customer_periods DROP CONSTRAINT too_many")
    await world.check()
    assert await retry(world) == 2
    await world.work()
    for one in ann[3:]:
        world.oracle.accept(one)
    await world.check()


@pytest.mark.parametrize(
    "fault",
    [
        asyncpg.UndefinedTableError,
        pytest.param(asyncpg.UndefinedFunctionError, marks=pytest.mark.slow),
        pytest.param(asyncpg.InsufficientPrivilegeError, marks=pytest.mark.slow),
        pytest.param(asyncpg.IndexCorruptedError, marks=pytest.mark.slow),
        MemoryError,
        pytest.param(PermissionError, marks=pytest.mark.slow),
    ],
)
async def test_a_fault_of_the_environment_blames_no_lead(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    """Failed before: every lead that was tried while it lasted became a dead letter."""
    await world.accept(*distinct(3, AT, customer="ann", product="crm"), lead(customer="bob", product="erp"))
    tries = []

    async def fail(*_: object) -> None:
        tries.append(1)
        raise fault("until somebody mends it")

    with monkeypatch.context() as patch:
        patch.setattr(verdicts, "write", fail)
        with pytest.raises(fault):
            await worker_batch.process_inbox(world.engine, world.policies, 100)
    assert len(tries) == 1
    async with transaction(world.engine) as connection:
        assert await connection.fetchval("SELECT count(*) FROM leads") == 0
        assert await connection.fetchval("SELECT count(*) FROM inbox WHERE done_at IS NULL") > 0
    assert await letters(world) == []
    await world.work()
    await world.check()


async def test_leads_wait_while_a_table_is_missing(world: World) -> None:
    """Failed before: 200 of 200 leads became dead letters while a table had another name for some seconds."""
    await world.accept(*distinct(20, AT, customer="ann", product="crm"))
    async with transaction(world.engine) as connection:
        await connection.execute("ALTER TABLE winners RENAME TO winners_elsewhere")
    with pytest.raises(asyncpg.UndefinedTableError):
        await worker_batch.process_inbox(world.engine, world.policies, 100)
    async with transaction(world.engine) as connection:
        await connection.execute("ALTER TABLE winners_elsewhere RENAME TO winners")
    assert await letters(world) == []
    await world.work()
    await world.check()


async def test_a_dead_letter_is_retried_once_the_fault_is_gone(world: World, poison: pytest.MonkeyPatch) -> None:
    await world.put(poisoned())
    await world.work()
    (letter,) = await letters(world)
    poison.undo()
    assert await retry(world) == 1
    assert await retry(world) == 0
    await world.work()
    world.oracle.accept(poisoned())
    await world.check()
    assert await letters(world) == []
    async with transaction(world.engine, readonly=True) as connection:
        status = await request_status.status(connection, letter.batch_id)
    assert status is not None
    assert (status.accepted, status.leads["new"], "dead" in status.leads) == (1, 1, False)


async def test_a_retry_that_fails_again_is_a_dead_letter_again(world: World, poison: pytest.MonkeyPatch) -> None:
    await world.put(poisoned())
    for _ in range(3):
        await world.work()
        assert len(await letters(world)) == 1
        assert await retry(world) == 1
    assert await letters(world) == []


async def test_a_poison_lead_in_quarantine_does_not_keep_the_others_there(
    world: World, poison: pytest.MonkeyPatch
) -> None:
    """Failed before: one lead that could not be decided kept every lead in quarantine for ever."""
    good = distinct(3, AT, customer="eve", product="crm")
    await world.put(poisoned(customer="eve"), *good)
    for one in good:
        world.oracle.accept(one)
    await world.work()
    await world.customer("eve", "eve@example.com")
    await world.check()
    assert [letter.error for letter in await letters(world)] == ["ZeroDivisionError('poison')"]
    poison.undo()
    async with transaction(world.engine) as connection:
        assert await quarantine.page(connection, reason=None, after=0, limit=10) == []
    assert await retry(world) == 1
    await world.work()
    world.oracle.accept(poisoned(customer="eve"))
    await world.check()


async def test_a_payload_that_cannot_be_read_is_a_dead_letter(world: World) -> None:
    await world.accept(*distinct(2, AT, customer="ann", product="crm"))
    async with transaction(world.engine) as connection:
        await connection.execute(
            """
            INSERT INTO inbox (batch_id, part, request_id, received_at, lead_count, lead_ids, payload)
            VALUES ($1, 0, '', now(), 1, '{}', '[{"broken"')
            """,
            uuid4(),
        )
    await world.work()
    await world.check()
    (letter,) = await letters(world)
    assert letter.lead_id is None
    assert letter.error.startswith("unreadable")


@pytest.mark.parametrize(
    "fault",
    [
        asyncpg.SerializationError,
        pytest.param(asyncpg.DeadlockDetectedError, marks=pytest.mark.slow),
        pytest.param(asyncpg.LockNotAvailableError, marks=pytest.mark.slow),
        pytest.param(asyncpg.AdminShutdownError, marks=pytest.mark.slow),
        pytest.param(asyncpg.ConnectionDoesNotExistError, marks=pytest.mark.slow),
        pytest.param(asyncpg.TooManyConnectionsError, marks=pytest.mark.slow),
        asyncpg.DiskFullError,
        asyncpg.InterfaceError,
        ConnectionResetError,
        TimeoutError,
    ],
)
async def test_a_fault_of_the_moment_blames_no_lead(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    await world.accept(*distinct(3, AT, customer="ann", product="crm"))

    async def fail(*_: object) -> None:
        raise fault("for now")

    with monkeypatch.context() as patch:
        patch.setattr(verdicts, "write", fail)
        with pytest.raises(fault):
            await worker_batch.process_inbox(world.engine, world.policies, 100)
    async with transaction(world.engine) as connection:
        assert await connection.fetchval("SELECT count(*) FROM leads") == 0
    assert await letters(world) == []
    await world.work()
    await world.check()


STEPS = [
    (inbox, "claim"),
    (matching, "find_customers"),
    (stored_leads, "add"),
    (decision, "store_periods"),
    (verdicts, "write_actions"),
    (winners, "write"),
    (counting, "add_customer_totals"),
    (counting, "add_product_totals"),
    (quarantine, "add"),
    (inbox, "mark_done"),
]


@pytest.mark.parametrize(("module", "step"), STEPS, ids=[f"{module.__name__}.{step}" for module, step in STEPS])
async def test_r2_a_connection_lost_after_any_step_loses_nothing_and_bills_nothing_twice(
    world: World, monkeypatch: pytest.MonkeyPatch, module: Any, step: str
) -> None:
    await world.accept(*distinct(12, AT, customer="ann", product="crm"), lead(customer="eve", product="crm"))
    do = getattr(module, step)

    async def do_and_lose_the_connection(connection: asyncpg.Connection, *rest: Any, **named: Any) -> Any:
        result = await do(connection, *rest, **named)
        pid = connection.get_server_pid()
        async with transaction(world.engine) as other:
            await other.execute("SELECT pg_terminate_backend($1)", pid)
        await asyncio.sleep(0.05)
        return result

    with monkeypatch.context() as patch:
        patch.setattr(module, step, do_and_lose_the_connection)
        with pytest.raises(TRANSIENT):
            await worker_batch.process_inbox(world.engine, world.policies, 100)
    await world.work()
    assert await letters(world) == []
    await world.check()


async def test_r2_a_batch_that_is_delivered_three_times_is_billed_once(world: World) -> None:
    sent = distinct(12, AT, customer="ann", product="crm")
    await world.accept(*sent)
    for _ in range(2):
        await world.put(*reversed(sent))
    await asyncio.gather(*(worker_batch.process_inbox(world.engine, Policies(), 12) for _ in range(3)))
    await world.work()
    await world.check()
