"""R8: many workers at one customer, and what goes wrong without each lock: a lock that nothing needs is not there."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from billing.totals import TOTALS_COLUMNS, Totals
from db.core import locks
from db.core.engine import transaction
from db.core.row_keys import customer_uuid, product_uuid
from db.intake import stored_leads, worker_batch
from db.ledger import closing, credit_lines, judging, period_counters, recount, verdicts
from db.ledger.case import Case
from db.ledger.policies import Policies
from tests.builders import distinct, lead
from tests.world import LATER, World

AT, MAY = "2024-04-10T09:00:00Z", "2024-05-10T09:00:00Z"
Pairs = Iterable[tuple[UUID, UUID]]
Sums = dict[tuple[tuple[UUID, UUID], int], Totals]


async def totals(world: World) -> tuple[int, int]:
    """What ann is billed according to the verdicts, and according to the counters."""
    async with transaction(world.engine, readonly=True) as connection:
        row = await connection.fetchrow(
            "SELECT (SELECT sum(billed_minor) FROM actions), (SELECT sum(billed_minor) FROM customer_periods)"
        )
    assert row is not None
    return tuple(row)


async def drifted(world: World, period: int = 202404) -> int:
    async with transaction(world.engine, readonly=True) as connection:
        return (await recount.drift(connection, world.partners["acme"], period)).count


async def test_r8_one_customer_under_64_concurrent_batches(world: World) -> None:
    sent = distinct(64, AT, customer="ann", product="crm")
    for one in sent:
        world.oracle.accept(one)
    await world.put(*sent, chunk_leads=1)
    await world.scatter()
    await world.work(workers=6, most_leads=1)
    assert await totals(world) == (10_000, 10_000)
    await world.check()


async def the_oracle_complains(world: World) -> None:
    with pytest.raises(AssertionError):
        await world.check()


async def two_batches_at_once(world: World) -> list[Any]:
    """Two batches of one customer, the second read while the first is not yet written."""
    await world.send(*distinct(1, AT, customer="ann", product="crm"))
    both_judged, judge_changes = asyncio.Barrier(2), judging.judge_changes

    async def wait_for_the_other(connection: asyncpg.Connection, cases: list[Case]) -> None:
        await judge_changes(connection, cases)
        try:
            await asyncio.wait_for(both_judged.wait(), 0.3)
        except (TimeoutError, asyncio.BrokenBarrierError):
            return  # the other one waits for the lock

    await world.accept(*distinct(7, AT, customer="ann", product="crm"))
    await world.accept(*distinct(7, AT, customer="ann", product="crm"))
    await world.scatter()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "judge_changes", wait_for_the_other)
        return await asyncio.gather(
            *(worker_batch.process_inbox(world.engine, Policies(), 7) for _ in range(2)), return_exceptions=True
        )


async def test_r8_two_batches_of_one_customer_share_its_cap(world: World) -> None:
    assert await two_batches_at_once(world) == [1, 1]
    assert await totals(world) == (10_000, 10_000)
    await world.check()


async def only_read(
    connection: asyncpg.Connection, customers: Pairs
) -> tuple[dict[tuple[UUID, UUID], int], set[tuple[UUID, UUID]]]:
    """In the place of the lock: the version by which each customer was judged."""
    return dict.fromkeys(customers, 1), set()


async def test_r8_without_the_lock_of_the_customer_the_cap_is_passed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.send(lead(customer="ann", product="crm"))
    monkeypatch.setattr(locks, "lock_customers_of_leads", only_read)
    await two_batches_at_once(world)
    assert (await totals(world))[0] > 10_000
    await the_oracle_complains(world)


async def test_r8_two_batches_with_the_same_key_make_one_winner(world: World) -> None:
    await world.send(lead(None, ("Call", "Low", AT), customer="ann", product="crm"))
    await same_key_at_once(world)
    assert await winners(world) == 1
    await world.check()


async def test_r8_without_the_lock_the_key_of_the_winner_still_keeps_a_second_one_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.send(lead(None, ("Call", "Low", AT), customer="ann", product="crm"))
    monkeypatch.setattr(locks, "lock_customers_of_leads", only_read)
    await same_key_at_once(world)
    assert await winners(world) == 1
    await world.check()
    async with transaction(world.engine) as connection:
        await connection.execute("ALTER TABLE winners DROP CONSTRAINT pk_winners")
    await same_key_at_once(world, "Demo")
    assert await winners(world, "Demo") == 2
    await the_oracle_complains(world)


async def same_key_at_once(world: World, action_type: str = "Click") -> None:
    both_judged, judge_changes = asyncio.Barrier(2), judging.judge_changes

    async def wait_for_the_other(connection: asyncpg.Connection, cases: list[Case]) -> None:
        await judge_changes(connection, cases)
        try:
            await asyncio.wait_for(both_judged.wait(), 0.3)
        except (TimeoutError, asyncio.BrokenBarrierError):
            return

    for _ in range(2):
        await world.accept(lead(None, (action_type, "High", AT), customer="ann", product="crm"))
    await world.scatter()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "judge_changes", wait_for_the_other)
        await asyncio.gather(
            *(worker_batch.process_inbox(world.engine, Policies(), 1) for _ in range(2)), return_exceptions=True
        )
    await world.work()


async def winners(world: World, action_type: str = "Click") -> int:
    async with transaction(world.engine) as connection:
        count: int = await connection.fetchval(
            "SELECT count(*) FROM actions WHERE action_type = $1 AND outcome <> 'duplicate'", action_type
        )
        return count


async def close_while_a_batch_is_written(world: World) -> tuple[Any, Any]:
    """A period closes between the moment a batch has judged its actions and the moment it writes them."""
    await world.accept(lead(customer="ann", product="crm"))
    judged, write = asyncio.Event(), verdicts.write

    async def write_late(connection: asyncpg.Connection, cases: list[Case]) -> None:
        judged.set()
        await asyncio.sleep(0.3)
        await write(connection, cases)

    async def close() -> bool:
        await judged.wait()
        async with world.unit_of_work() as uow:
            return await closing.close(uow, Policies(), world.partners["acme"], 202404, LATER)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verdicts, "write", write_late)
        found, closed = await asyncio.gather(
            worker_batch.process_inbox(world.engine, Policies(), 1), close(), return_exceptions=True
        )
    world.oracle.close("acme", "2024-04")
    world.policies.clear()
    return found, closed


async def test_r11_a_closing_waits_for_the_batches_under_way(world: World) -> None:
    assert await close_while_a_batch_is_written(world) == (1, True)
    async with transaction(world.engine) as connection:
        assert await connection.fetchval("SELECT billing_period FROM actions") == 202404
    await world.check()


async def test_r11_without_the_lock_of_the_partner_a_batch_writes_into_the_closed_period(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trigger refuses it, the batch fails, and a second try bills the action a month late."""

    async def no_lock(*_: object) -> None:
        return

    monkeypatch.setattr(locks, "lock_partners_shared", no_lock)
    found, closed = await close_while_a_batch_is_written(world)
    assert closed is True
    await world.work()
    async with transaction(world.engine) as connection:
        assert await connection.fetchval("SELECT billing_period FROM actions") == 202405, found
    await the_oracle_complains(world)


async def test_r11_a_return_and_a_batch_of_the_same_products_do_not_deadlock(world: World) -> None:
    """Failed before: a credit took a counter before the verdicts did, in a row that workers count in as well."""
    low, high = sorted(["crm", "erp"], key=product_uuid)
    await world.terms("acme", "2024-04", cap="10.00", cap_scope="lifetime")
    await world.send(lead("a", ("Click", "High", AT), customer="ann", product=high))
    await world.send(lead("capped", ("Click", "High", MAY), customer="ann", product=low))
    assert await world.close("acme", "2024-04")
    await world.accept(*(lead(None, ("Click", "High", MAY), customer="bob", product=each) for each in (low, high)))
    credited, book = asyncio.Event(), credit_lines.book

    async def book_and_wait(*arguments: Any) -> bool:
        booked = await book(*arguments)
        credited.set()
        await asyncio.sleep(0.3)
        return booked

    async def work() -> int:
        await credited.wait()
        return await worker_batch.process_inbox(world.engine, Policies(), 10)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(credit_lines, "book", book_and_wait)
        patch.setattr(period_counters, "os", _Pid())
        returned, settled = await asyncio.gather(world.return_action(("", "a", "Click", "High", AT, 1)), work())
    assert (returned, settled) == (True, 1)
    await world.check()
    assert world.oracle.totals("acme", "2024-05")["billed"] == 2000


class _Pid:
    """A process whose counters have shard 0."""

    @staticmethod
    def getpid() -> int:
        return 0


async def two_corrections_at_once(world: World) -> list[int]:
    """How many counters two rebuilds correct that count at the same time, if nothing keeps them from it."""
    await world.send(lead(customer="ann", product="crm"))
    changed = ", ".join(f"{name} = {name} + 7" for name in TOTALS_COLUMNS if name in ("gross_minor", "billed_minor"))
    async with transaction(world.engine) as connection:
        await connection.execute(f"UPDATE customer_periods SET {changed}")
        await connection.execute(f"UPDATE product_periods SET {changed}, checksum = checksum + 1")
    drift, read = recount.drift, asyncio.Barrier(2)

    async def read_at_once(connection: asyncpg.Connection, partner_id: UUID, period: int) -> recount.Drift:
        found = await drift(connection, partner_id, period)
        try:
            await asyncio.wait_for(read.wait(), 0.3)
        except (TimeoutError, asyncio.BrokenBarrierError):
            return found  # the other one waits
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recount, "drift", read_at_once)
        results = await asyncio.gather(*(world.rebuild(world.partners["acme"], 202404) for _ in range(2)))
    return sorted(counters for _, counters in results)


async def test_r9_two_rebuilds_at_once_correct_an_error_once(world: World) -> None:
    assert await two_corrections_at_once(world) == [0, 2]
    assert await drifted(world) == 0
    await world.check()


async def test_r9_without_the_lock_of_the_report_an_error_is_corrected_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_lock(*_: object) -> None:
        return

    monkeypatch.setattr(locks, "lock_report_exclusive", no_lock)
    assert await two_corrections_at_once(world) == [2, 2]
    assert await drifted(world) == 2
    await the_oracle_complains(world)


async def same_lead_at_once(world: World) -> None:
    """One lead of two people in two batches, each of which looks for it before the other has stored it."""
    for person in ("ann", "bob"):
        await world.accept(lead("same", customer=person, product="crm"))
    await world.scatter()
    both_looked, find = asyncio.Barrier(2), stored_leads.find

    async def look_at_once(*arguments: Any) -> Any:
        found = await find(*arguments)
        try:
            await asyncio.wait_for(both_looked.wait(), 0.3)
        except (TimeoutError, asyncio.BrokenBarrierError):
            return found  # the other one is through already
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored_leads, "find", look_at_once)
        await asyncio.gather(
            *(worker_batch.process_inbox(world.engine, Policies(), 1) for _ in range(2)), return_exceptions=True
        )
    await world.work()


async def stored(world: World) -> tuple[int, int, int]:
    async with transaction(world.engine) as connection:
        row = await connection.fetchrow(
            "SELECT (SELECT count(*) FROM leads), (SELECT count(*) FROM actions), (SELECT count(*) FROM quarantine)"
        )
    assert row is not None
    return tuple(row)


async def test_r3_one_of_two_differing_leads_at_once_is_a_conflict(world: World) -> None:
    await same_lead_at_once(world)
    assert await stored(world) == (1, 1, 1)


async def test_r3_without_the_keys_of_leads_and_actions_both_are_billed(world: World) -> None:
    async with transaction(world.engine) as connection:
        for table in ("leads", "actions"):
            # What refers to a lead counts on there being one.
            await connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT pk_{table} CASCADE, DISABLE TRIGGER USER")
    await same_lead_at_once(world)
    assert await stored(world) == (2, 2, 0)
    await the_oracle_complains(world)


async def counters_in_ascending_order(
    world: World, count: Callable[[asyncpg.Connection, Sums], Coroutine[Any, Any, None]]
) -> None:
    """Whoever counts for two people waits for the first without holding the second."""
    await world.send(*(lead(customer=person, product="crm") for person in ("ann", "bob")))
    low, high = sorted(((world.partners["acme"], customer_uuid(person)), 202404) for person in ("ann", "bob"))
    row = "SELECT FROM customer_periods WHERE customer_id = $1 FOR UPDATE NOWAIT"
    async with transaction(world.engine) as first, transaction(world.engine) as counting:
        await first.execute(row, low[0][1])
        waiting = asyncio.create_task(count(counting, {high: Totals(), low: Totals()}))
        async with transaction(world.engine) as looking:
            while not await looking.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await looking.execute(row, high[0][1])
        await first.execute("SELECT 1")
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_r9_corrections_take_counters_in_ascending_order(world: World) -> None:
    await counters_in_ascending_order(
        world, lambda connection, sums: recount.correct(connection, recount.Drift(sums, {}, {}), 1)
    )


async def test_r9_batches_take_counters_in_ascending_order(world: World) -> None:
    """Failed before: a rebuild and a batch deadlocked, each with a counter that the other one wanted."""
    await counters_in_ascending_order(
        world,
        lambda connection, sums: period_counters.add_customer_totals(
            connection, sums, {}, dict.fromkeys(sums, 1), set(sums)
        ),
    )
