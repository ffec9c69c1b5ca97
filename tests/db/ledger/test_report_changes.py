"""What changed since the last snapshot, and the sums per currency: kept by triggers, whoever counts."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.actions import Outcome
from billing.totals import TOTALS_COLUMNS
from db.core.engine import transaction
from db.core.settings import Settings
from db.ledger import report_changes
from db.ledger.policies import Policies
from db.telemetry import business_figures
from tests.builders import lead
from tests.changes import changed_reports
from tests.world import World
from worker.runtime import Runtime
from worker.tasks.reports import snapshot_changed

APRIL, MAY = "2024-04-10T09:00:00Z", "2024-05-10T09:00:00Z"


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    world = World(engine)
    for partner, currency in (("acme", "EUR"), ("globex", "USD")):
        await world.partner(partner, currency=currency, cap="25.00")
        await world.product(f"{partner}-crm", partner)
    await world.customer("ann", "ann@example.com")
    return world


def sent(name: str, partner: str = "acme", at: str = APRIL, level: str = "High") -> dict[str, object]:
    return lead(name, (name, level, at), customer="ann", product=f"{partner}-crm")


async def periods(engine: AsyncEngine) -> list[int]:
    async with transaction(engine, readonly=True) as connection:
        return [period for _, period in await changed_reports(connection)]


async def check_sums(engine: AsyncEngine) -> None:
    """The sums per currency are those of all counters, and so are the metrics."""
    names = ", ".join(f"sum({name})::bigint AS {name}" for name in (*TOTALS_COLUMNS, "credited_minor"))
    async with transaction(engine, readonly=True) as connection:
        kept = await connection.fetch(f"SELECT currency, {names} FROM currency_totals GROUP BY 1 ORDER BY 1")
        counted = await connection.fetch(
            f"SELECT currency, {names} FROM product_periods JOIN partners ON id = partner_id GROUP BY 1 ORDER BY 1"
        )
        figures = await business_figures.read(connection)
    assert [dict(row) for row in kept] == [dict(row) for row in counted]
    assert figures.actions == {each.value: sum(row[each.value] for row in counted) for each in Outcome}
    assert figures.money_minor["EUR", "credited"] == counted[0]["credited_minor"]


async def test_whatever_changes_a_report_is_noted_and_only_that(
    engine: AsyncEngine, settings: Settings, world: World
) -> None:
    runtime = Runtime(settings, engine, Policies())
    await world.send(sent("a"), sent("b"), sent("c", at=MAY), sent("d", "globex"))
    assert await periods(engine) == [202404, 202404, 202405]
    await check_sums(engine)
    await snapshot_changed(runtime)
    assert await periods(engine) == []
    await world.send(sent("a"))  # again
    assert await periods(engine) == []
    await world.send(sent("e", at=MAY))
    assert await periods(engine) == [202405]
    await snapshot_changed(runtime)
    await world.hold(("", "c", "c", "High", MAY, 1))
    assert await periods(engine) == [202405]
    await snapshot_changed(runtime)
    await world.close("acme", "2024-04")
    assert await periods(engine) == [202404]
    await snapshot_changed(runtime)
    await world.return_action(("", "a", "a", "High", APRIL, 1))
    assert await periods(engine) == [202405]
    await snapshot_changed(runtime)
    await world.reopen("acme", "2024-04")
    assert await periods(engine) == [202404, 202405]
    await check_sums(engine)
    await world.check()


async def test_what_is_not_committed_yet_is_not_forgotten(engine: AsyncEngine, world: World) -> None:
    """The snapshot reads the counters without it and clears; the batch commits afterwards."""
    await world.send(sent("a"))
    async with transaction(engine, readonly=True) as connection:
        (seen,) = await report_changes.page(connection)
    async with transaction(engine) as batch:
        await batch.execute("UPDATE product_periods SET leads = leads")
        async with transaction(engine) as connection:  # it waits for nobody
            await report_changes.clear(connection, seen)
    assert await periods(engine) == [202404]


async def test_sums_of_currencies_become_one_row_each(engine: AsyncEngine, world: World) -> None:
    await world.send(sent("a"), sent("b", at=MAY))
    await world.send(sent("c", "globex"))
    for _ in range(2):
        async with transaction(engine) as connection:
            await report_changes.sum_currency_totals(connection)
        await check_sums(engine)
    async with transaction(engine) as connection:
        assert await connection.fetchval("SELECT count(*) FROM currency_totals") == 1


async def test_batches_that_count_in_another_order_never_wait_for_notes(engine: AsyncEngine, world: World) -> None:
    """Failed before: the triggers of two transactions changed the same rows, each in its own order."""
    await world.send(sent("a"), sent("b", at=MAY))
    change = "UPDATE product_periods SET leads = leads + 1 WHERE period = $1"
    async with transaction(engine) as one, transaction(engine) as other:
        await one.execute(change, 202404)
        await other.execute(change, 202405)
        notes = "INSERT INTO report_changes (period, partner_id) SELECT $1, id FROM partners"
        await one.execute(notes, 202405)
        await other.execute(notes, 202404)


async def test_reports_go_by_pages(engine: AsyncEngine, world: World) -> None:
    await world.send(sent("a"), sent("b", at=MAY), sent("c", "globex"))
    async with transaction(engine, readonly=True) as connection:
        everything = await report_changes.page(connection)
        last, found = None, []
        while page := await report_changes.page(connection, after=last, limit=1):
            found += page
            last = page[-1]
    assert found == everything
    assert len(found) == 3
