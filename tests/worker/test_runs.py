"""Runs of the monthly billing (M1 to M3): each partner's period once, whatever fails, is killed or comes twice."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from billing.errors import RuleViolation
from billing.runs import Outcome
from db.bills import creation, moves, reopening
from db.bills.moves import Asked as AskedMove
from db.bills.moves import Mover
from db.core.engine import transaction
from db.core.tables import metadata
from db.runs import planning, records
from db.runs import billing as run_billing
from db.runs.records import Asked, Item
from db.tasks import records as tasks
from tests.builders import distinct, lead
from tests.world import World
from worker.runtime import Runtime
from worker.task_kinds import RUNNER
from worker.tasks import runs

APRIL, MAY = 202404, 202405


class Killed(BaseException):
    """What a killed process never gets to say."""


@pytest.fixture
async def world(world: World) -> World:
    """Three partners: acme and globex with leads of April and May, and initech without any."""
    for partner, product in (("globex", "gps"), ("initech", "tps")):
        await world.partner(partner)
        await world.product(product, partner)
    for product in ("crm", "gps"):
        for month in ("04", "05"):
            await world.accept(*distinct(2, f"2024-{month}-10T09:00:00Z", customer="ann", product=product))
    return world


async def started(runtime: Runtime, **asked: Any) -> UUID:
    async with runtime.unit_of_work() as uow:
        return await records.start(uow, Asked("api", **{"period": APRIL} | asked))


async def finished(runtime: Runtime, run_id: UUID) -> list[Item]:
    """Run it to its end as a worker does, whatever the back-off, and return its items."""
    async with transaction(runtime.engine) as connection:
        task_id = await records.task_of(connection, run_id)
    for _ in range(20):
        await RUNNER.run(runtime, task_id)
        async with transaction(runtime.engine) as connection:
            await connection.execute("UPDATE billing_run_items SET next_attempt_at = clock_timestamp()")
            run = await records.read(connection, run_id)
            assert run is not None
            if run.state == "done":
                return await records.items(connection, run_id, limit=100)
    raise AssertionError("The run does not end.")


def ends(items: list[Item]) -> list[tuple[str, int, str | None, int | None]]:
    return [(item.partner, item.period, item.outcome and item.outcome.value, item.gross_minor) for item in items]


async def bills(world: World) -> list[tuple[str, int, str]]:
    async with transaction(world.engine) as connection:
        rows = await connection.fetch(
            """
            SELECT external_id, period, state FROM bills JOIN partners ON partners.id = partner_id
            ORDER BY external_id, period, state
            """
        )
    return [tuple(row) for row in rows]


async def rows(engine: Any) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    async with transaction(engine) as connection:
        return {
            table: [row[0] for row in await connection.fetch(f'SELECT t::text FROM "{table}" AS t ORDER BY 1')]
            for table in sorted(metadata.tables)
        }


async def test_m1_each_partner_gets_its_bills_oldest_first_and_a_second_run_makes_none(
    runtime: Runtime, world: World
) -> None:
    items = await finished(runtime, await started(runtime, period=MAY))
    assert ends(items) == [
        ("acme", APRIL, "successful", 2000),
        ("acme", MAY, "successful", 2000),
        ("globex", APRIL, "successful", 2000),
        ("globex", MAY, "successful", 2000),
    ]
    made = await bills(world)
    assert [state for *_, state in made] == ["draft"] * 4  # nobody could approve, and that is said
    assert all(item.note and item.note.startswith("Nobody who is active") for item in items)
    assert ends(await finished(runtime, await started(runtime, period=MAY))) == []
    assert await bills(world) == made


async def test_m1_a_failure_stops_only_that_partners_later_periods_and_ends_as_a_dead_letter(
    runtime: Runtime, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, tries = creation.make_locked, 0

    async def failing(uow: Any, policies: Any, partner_ids: Any, period: int) -> Any:
        nonlocal tries
        if world.partners["acme"] in partner_ids and period == APRIL:
            tries += len(partner_ids) == 1
            raise RuleViolation("Acme is special.")
        return await make(uow, policies, partner_ids, period)

    monkeypatch.setattr(creation, "make_locked", failing)
    items = await finished(runtime, await started(runtime, period=MAY))
    assert ends(items) == [
        ("acme", APRIL, "failed", None),
        ("acme", MAY, "waiting", None),
        ("globex", APRIL, "successful", 2000),
        ("globex", MAY, "successful", 2000),
    ]
    assert (items[0].attempts, items[0].error, tries) == (3, "Acme is special.", 3)
    assert items[1].note == "An earlier period of the partner comes first."
    assert [partner for partner, *_ in await bills(world)] == ["globex", "globex"]


async def test_m1_a_run_that_is_killed_at_any_statement_goes_on_and_bills_once(
    runtime: Runtime, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, steps = None, 0
    bill = run_billing.bill
    run_id = await started(runtime, period=MAY)
    async with transaction(runtime.engine) as connection:
        task_id = await records.task_of(connection, run_id)
    for name in ("bill", "finish_items", "finish", "plan"):
        module = run_billing if name == "bill" else records
        call = getattr(module, name)

        async def killed(*arguments: Any, call: Any = call, **more: Any) -> Any:
            await call(*arguments, **more)
            raise Killed

        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(module, name, killed)
            await RUNNER.run(runtime, task_id)
            await RUNNER.run(runtime, task_id)
            steps += 1
    del expected, bill
    items = await finished(runtime, run_id)
    assert [(item.outcome, item.gross_minor) for item in items] == [(Outcome.SUCCESSFUL, 2000)] * 4
    assert [(partner, period) for partner, period, _ in await bills(world)] == [
        ("acme", APRIL), ("acme", MAY), ("globex", APRIL), ("globex", MAY)
    ]
