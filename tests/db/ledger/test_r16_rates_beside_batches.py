"""R16: a rule for all keeps no batch waiting and waits for none; what was judged without it is judged again."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from db.core import locks
from db.core.engine import transaction
from db.intake import worker_batch
from db.ledger import invariants, judging, policies, reevaluation
from db.ledger.case import Case
from db.ledger.policies import Policies
from tests.builders import distinct, lead
from tests.world import World

AT = "2024-04-10T09:00:00Z"


@asynccontextmanager
async def batch_under_way(world: World) -> AsyncIterator[asyncio.Event]:
    """A batch that has read rates and locked no customer yet; it goes on when the event is set, and ends by the end."""
    entered, go_on = asyncio.Event(), asyncio.Event()
    ensure = locks.ensure_customer_states

    async def wait(connection: asyncpg.Connection, versions: Mapping[tuple[UUID, UUID], int]) -> None:
        entered.set()
        await go_on.wait()
        await ensure(connection, versions)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(locks, "ensure_customer_states", wait)
        batch = asyncio.create_task(worker_batch.process_inbox(world.engine, Policies(), 10))
        await entered.wait()
        patch.undo()
        try:
            yield go_on
        finally:
            go_on.set()
            await batch


async def stale(world: World) -> int:
    async with transaction(world.engine, readonly=True) as connection:
        return await reevaluation.stale_customers(connection, list(world.partners.values()))


async def end(world: World, seen: int) -> bool:
    """Whether the task that judges stale customers can end, `seen` changes being settled."""
    async with transaction(world.engine) as connection:
        task_id = await connection.fetchval("SELECT id FROM tasks WHERE finished_at IS NULL")
        return await reevaluation.end(connection, task_id, {}, seen)


async def test_r16_a_rule_for_all_waits_for_no_batch_and_what_that_one_judges_is_judged_again(world: World) -> None:
    """Failed before: the rule waited for the batch, and whoever came after it waited for the rule."""
    await world.accept(lead(customer="ann", product="crm"))
    async with batch_under_way(world):
        await asyncio.wait_for(world.rate("3.00", action_type="Click"), 5)
    assert await stale(world) == 1
    await world.settle()
    await world.check()
    assert world.oracle.totals("acme", "2024-04")["billed"] == 300


async def test_r16_the_task_does_not_end_while_a_batch_may_leave_stale_customers(world: World) -> None:
    await world.accept(lead(customer="ann", product="crm"))
    async with batch_under_way(world) as go_on:
        await world.rate("3.00", action_type="Click")
        assert await stale(world) == 0  # the first customer comes with the batch
        settling = asyncio.create_task(reevaluation.settled(world.engine))
        await asyncio.sleep(0.4)
        assert not settling.done()
        go_on.set()
        seen = await settling
    assert not await end(world, seen)
    await world.settle()
    assert await end(world, await reevaluation.settled(world.engine))
    await world.check()


async def test_r16_the_task_does_not_end_when_another_change_came_while_it_waited(world: World) -> None:
    await world.rate("2.00", action_type="Click")
    await world.accept(lead(customer="ann", product="crm"))
    seen = await reevaluation.settled(world.engine)
    async with batch_under_way(world):
        await world.rate("3.00", action_type="Click")
        assert not await end(world, seen)
    await world.settle()
    assert await end(world, await reevaluation.settled(world.engine))
    await world.check()


async def test_r16_a_batch_judges_by_the_rates_by_which_its_customer_was_judged_meanwhile(world: World) -> None:
    """Without reading them again it would judge by the older ones, and the customer would be stale once more."""
    await world.send(lead(customer="ann", product="crm"))
    await world.accept(*distinct(2, AT, customer="ann", product="crm"))
    async with batch_under_way(world):
        await world.rate("3.00", engagement_level="High")
        await world.settle()
    assert await stale(world) == 0
    await world.check()


async def test_r16_a_rule_for_all_reads_no_card(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed before: it read the policies of all partners, for 2,000 of them half a second on the API's event loop."""
    await world.send(lead(customer="ann", product="crm"))
    assert await world.close("acme", "2024-04")

    def refuse(*_: Any) -> None:
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr(policies, "RateCard", refuse)
        assert await world.rate("3.00", action_type="Click")
        assert await world.rate("4.00", action_type="Click")
    await world.send(lead("may", ("Click", "High", "2024-05-10T09:00:00Z"), customer="ann", product="crm"))
    await world.settle()
    await world.check()


@pytest.fixture
def judged_again(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many customers were judged again with all their open actions, each time."""
    found: list[int] = []
    judge_again = judging.judge_again

    async def counted(connection: asyncpg.Connection, cases: Sequence[Case]) -> None:
        found.append(len(cases))
        await judge_again(connection, cases)

    monkeypatch.setattr(judging, "judge_again", counted)
    return found


async def test_r16_where_only_rates_have_changed_a_batch_judges_what_is_new(
    world: World, judged_again: list[int]
) -> None:
    """Failed before: after a rule for all, every batch judged all open actions of its customers again."""
    await world.send(*distinct(3, AT, customer="ann", product="crm"))
    await world.rate("3.00", engagement_level="High")
    await world.rate("2.00", partner="acme", engagement_level="Low")
    await world.send(*distinct(9, AT, customer="ann", product="crm"))
    await world.hold(world.oracle.verdicts("acme")[0].action)
    assert judged_again == []
    assert await stale(world) == 1
    async with transaction(world.engine, readonly=True) as connection:
        for report in await invariants.reports_of(connection, world.partners["acme"], 0):
            assert await invariants.violations(connection, world.partners["acme"], report.period) == []
    await world.settle()
    assert judged_again == [1]
    await world.check()


@pytest.mark.parametrize(("of_older_release", "is_last"), [(False, False), (True, False), (True, True)])
async def test_r16_where_terms_have_changed_too_a_batch_judges_all(
    world: World, judged_again: list[int], of_older_release: bool, is_last: bool
) -> None:
    """Between changes of rates or after them, whoever makes it: a release before this one notes nothing of it."""
    await world.send(*distinct(3, AT, customer="ann", product="crm"))
    await world.rate("3.00", engagement_level="High")
    if of_older_release:
        async with transaction(world.engine) as connection:
            await connection.execute("UPDATE partners SET policy_version = policy_version + 1")
    else:
        await world.terms("acme", "2024-04", cap="7.00")
    if not is_last:
        await world.rate("2.00", engagement_level="High")
    await world.send(*distinct(2, AT, customer="ann", product="crm"))
    assert judged_again == [1]
    assert await stale(world) == 0
    await world.check()
