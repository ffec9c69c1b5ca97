"""R9 on a schedule: a counter that is wrong raises the figure, and the log says whose, of which period, by how much."""

from collections.abc import MutableMapping
from typing import Any

import pytest

from db.core.engine import transaction
from db.core.settings import Settings
from db.ledger import invariants as ledger
from db.tasks import records
from db.telemetry import business_figures
from tests.builders import distinct, lead
from tests.world import World
from worker.runtime import Runtime
from worker.schedule import beat_schedule
from worker.task_kinds import RUNNER
from worker.tasks import invariants

Logged = list[MutableMapping[str, Any]]

APRIL = "2024-04-10T09:00:00Z"
MAY = "2024-05-10T09:00:00Z"


async def corrupt(world: World, *statements: str) -> None:
    """Write to the counters past every trigger and check, as a bug or a hand in the tables would."""
    async with transaction(world.engine) as connection:
        for table in ("customer_periods", "product_periods"):
            await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            await connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS ck_{table}_conserved")
        for statement in statements:
            assert (await connection.execute(statement)).split()[-1] != "0"


async def figure(world: World) -> int:
    async with transaction(world.engine, readonly=True) as connection:
        return (await business_figures.read(connection)).violations


async def close(runtime: Runtime, world: World) -> None:
    """April is closed, with its final version."""
    arguments = {"partner_id": str(world.partners["acme"]), "period": 202404, "newest_waiting": 0}
    async with transaction(world.engine) as connection:
        task_id = await records.create(connection, "close", arguments, "test")
    assert await RUNNER.run(runtime, task_id)


async def test_r9_what_adds_up_is_no_violation(runtime: Runtime, world: World, logged: Logged) -> None:
    await world.send(*distinct(12, APRIL, customer="ann", product="crm"), lead(customer="bob", product="crm"))
    await close(runtime, world)
    await world.send(lead("may", ("Click", "High", MAY), customer="ann", product="crm"))
    assert await invariants.check_some(runtime) == 0
    assert await figure(world) == 0
    assert [entry["event"] for entry in logged] == ["invariants_checked"]


async def test_r9_a_wrong_counter_of_a_customer(runtime: Runtime, world: World, logged: Logged) -> None:
    await world.send(lead(customer="ann", product="crm"))
    await corrupt(world, "UPDATE customer_periods SET billed_minor = billed_minor + 700, billed = 3")
    assert await invariants.check_some(runtime) == 1
    assert await figure(world) == 1
    violation, done = logged
    async with transaction(world.engine) as connection:
        ann = await connection.fetchval("SELECT id FROM customers WHERE external_id = 'ann'")
    assert violation == {
        "event": "invariant_violated",
        "log_level": "error",
        "partner": "acme",
        "partner_id": str(world.partners["acme"]),
        "period": "2024-04",
        "customer_id": str(ann),
        "difference": {"billed": -2, "billed_minor": -700},
    }
    assert (done["event"], done["violations"]) == ("invariants_checked", 1)


@pytest.mark.parametrize(
    ("statement", "difference"),
    [
        ("UPDATE product_periods SET gross_minor = gross_minor - 1", {"gross_minor": 1}),
        ("UPDATE product_periods SET leads = leads + 1", {"leads": -1}),
        (
            "DELETE FROM product_periods",
            {"leads": 1, "actions": 1, "billed": 1, "gross_minor": 1000, "billed_minor": 1000},
        ),
    ],
)
async def test_r9_a_wrong_counter_of_a_product(
    runtime: Runtime, world: World, logged: Logged, statement: str, difference: dict[str, int]
) -> None:
    """The totals of a report are the sums of these."""
    await world.send(lead(customer="ann", product="crm"))
    await corrupt(world, statement)
    assert await invariants.check_some(runtime) == 1
    assert (logged[0]["partner"], logged[0]["period"], logged[0]["difference"]) == ("acme", "2024-04", difference)
    assert "product_id" in logged[0]


@pytest.mark.parametrize("counters", ["customer_periods", "product_periods"])
async def test_r9_a_wrong_counter_of_a_closed_period(
    runtime: Runtime, world: World, logged: Logged, counters: str
) -> None:
    await world.send(*distinct(3, APRIL, customer="ann", product="crm"))
    await close(runtime, world)
    await corrupt(world, f"UPDATE {counters} SET cap_savings_minor = cap_savings_minor + 5")
    assert await invariants.check_some(runtime) == 1
    assert await figure(world) == 1
    assert logged[0] == {
        "event": "invariant_violated",
        "log_level": "error",
        "partner": "acme",
        "partner_id": str(world.partners["acme"]),
        "period": "2024-04",
        "table": counters,
        "difference": {"cap_savings_minor": -5},
    }


async def test_r9_the_figure_goes_back_when_the_period_is_rebuilt(
    runtime: Runtime, world: World, logged: Logged
) -> None:
    await world.send(lead(customer="ann", product="crm"))
    await corrupt(
        world,
        "UPDATE customer_periods SET gross_minor = gross_minor + 1",
        "UPDATE product_periods SET gross_minor = gross_minor + 1",
    )
    assert await invariants.check_some(runtime) == 2
    assert await world.rebuild(world.partners["acme"], 202404) == (0, 2)
    assert await invariants.check_some(runtime) == 0
    assert await figure(world) == 0


def test_r9_beat_starts_the_check(settings: Settings) -> None:
    entry = beat_schedule(settings.model_copy(update={"invariants_interval_s": 60.0}))["ledger.check_invariants"]
    assert (entry["task"], entry["schedule"]) == (invariants.check_invariants.name, 60)


async def many_months(world: World, months: int) -> None:
    """An action in each of so many months."""
    for number in range(months):
        at = f"{2016 + number // 12}-{number % 12 + 1:02d}-10T09:00:00Z"
        await world.send(lead(None, ("Click", "High", at), customer="ann", product="crm"))


async def test_r9_a_run_checks_so_many_reports_and_the_next_one_goes_on(
    runtime: Runtime, world: World, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed before: every run read all of the history."""
    await world.partner("other")
    await world.product("erp", "other")
    await many_months(world, 7)
    await world.send(lead(None, ("Click", "High", APRIL), customer="bob", product="erp"))
    monkeypatch.setattr(ledger, "MOST_REPORTS", 4)
    for _ in range(12):
        await invariants.check_some(runtime)
    rounds = [entry["reports"] for entry in logged]
    assert max(rounds) <= 3
    assert sum(rounds) >= 2 * 8
    checked: list[tuple[Any, int]] = []
    check = ledger.violations

    async def noted(connection: Any, partner_id: Any, period: int) -> Any:
        checked.append((partner_id, period))
        return await check(connection, partner_id, period)

    monkeypatch.setattr(ledger, "violations", noted)
    async with transaction(runtime.engine) as connection:
        await ledger.write_position(connection, ledger.Position())
    while True:
        await invariants.check_some(runtime)
        async with transaction(runtime.engine, readonly=True) as connection:
            if await ledger.read_position(connection) == ledger.Position():
                break
    assert len(checked) == len(set(checked)) == 8


async def test_r9_a_run_ends_with_so_many_actions(
    runtime: Runtime, world: World, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    await many_months(world, 4)
    monkeypatch.setattr(ledger, "MOST_ACTIONS", 2)
    for _ in range(2):
        await invariants.check_some(runtime)
    assert [entry["reports"] for entry in logged] == [2, 2]


async def test_r9_what_one_run_found_stays_until_a_whole_round_finds_nothing(
    runtime: Runtime, world: World, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    await many_months(world, 4)
    monkeypatch.setattr(ledger, "MOST_ACTIONS", 2)
    await corrupt(world, "UPDATE customer_periods SET billed_minor = billed_minor + 700 WHERE period = 201601")
    figures = []
    for turn in range(6):
        await invariants.check_some(runtime)
        figures.append(await figure(world))
        if turn == 1:
            await corrupt(world, "UPDATE customer_periods SET billed_minor = billed_minor - 700 WHERE period = 201601")
    assert figures == [1, 1, 1, 0, 0, 0]
