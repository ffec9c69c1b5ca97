"""R1: what an older release stored comes under today's rules of texts; nothing frozen changes."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from billing.identity import microseconds
from billing.leads import Person
from db.core import migrate
from db.core.engine import transaction
from db.core.row_keys import action_uuid, customer_uuid, duplicate_key, lead_uuid
from db.ledger import holds
from db.masters import customers
from db.tasks import records
from tests.builders import lead
from tests.databases import execute, url_of_database
from tests.world import World
from worker.runtime import Runtime
from worker.task_kinds import RUNNER

MARCH, APRIL, LATER = "2024-03-10T09:00:00Z", "2024-04-10T09:00:00Z", "2024-04-11T09:00:00Z"
OLD = {"Old 1": "Form\u200b Fill", "Old 2": "Form\u00a0Fill", "Old 3": "Straße  1", "Old 4": "Zo\u00eb"}
"""What stands for texts that an older release kept as they came, and those texts."""


async def store_as_an_older_release(world: World) -> None:
    """Write the texts as they came, and the keys that they had: of the text NFC-normalised and case-folded."""
    async with transaction(world.engine) as connection:
        for text, came in OLD.items():
            for row in await connection.fetch("SELECT * FROM actions WHERE action_type = $1", text):
                type_key, level_key = came.casefold(), row["engagement_level"].casefold()
                action_id = action_uuid(
                    row["lead_id"], type_key, level_key, microseconds(row["occurred_at"]), row["occurrence"]
                )
                customer = row["partner_id"], row["customer_id"]
                key = duplicate_key(*customer, row["product_id"], type_key, level_key)
                await connection.execute(
                    "UPDATE actions SET id = $2, action_type = $3, duplicate_key = $4 WHERE id = $1",
                    row["id"],
                    action_id,
                    came,
                    key,
                )
                await connection.execute(
                    "UPDATE winners SET action_id = $2, duplicate_key = $3 WHERE action_id = $1",
                    row["id"],
                    action_id,
                    key,
                )


async def apply(runtime: Runtime) -> dict[str, Any]:
    async with transaction(runtime.engine) as connection:
        task_id = await records.create(connection, "apply_text_rules", {}, "request")
    await RUNNER.run(runtime, task_id)
    async with transaction(runtime.engine, readonly=True) as connection:
        task = await records.read(connection, task_id)
    assert task is not None
    assert (task.state, task.error) == ("done", None)
    assert task.result is not None
    return task.result


async def verdicts(world: World) -> dict[str, tuple[str, int]]:
    """Outcome and billed amount of the action of each lead."""
    async with transaction(world.engine, readonly=True) as connection:
        rows = await connection.fetch(
            "SELECT external_id, outcome, billed_minor FROM actions JOIN leads ON leads.id = lead_id ORDER BY 1"
        )
    return {row["external_id"]: (row["outcome"], row["billed_minor"]) for row in rows}


async def findings(world: World) -> list[tuple[str, str, str | None, str]]:
    async with transaction(world.engine, readonly=True) as connection:
        rows = await connection.fetch("SELECT kind, subject_id, other_id, detail FROM text_findings ORDER BY 1, 2")
    return [tuple(row) for row in rows]


async def winners(world: World, table: str) -> set[tuple[UUID, UUID]]:
    """The (key, action) of each winner, as `winners` has them or as the verdicts on record say."""
    sql = {
        "winners": "SELECT duplicate_key, action_id FROM winners",
        "actions": "SELECT duplicate_key, id FROM actions WHERE outcome IN ('billed', 'partly_billed', 'capped')",
    }
    async with transaction(world.engine, readonly=True) as connection:
        return {tuple(row) for row in await connection.fetch(sql[table])}


async def billed_minor(world: World, period: int) -> int:
    async with transaction(world.engine, readonly=True) as connection:
        return int(
            await connection.fetchval("SELECT sum(billed_minor) FROM customer_periods WHERE period = $1", period)
        )


async def test_r1_open_actions_that_look_the_same_become_one_type(runtime: Runtime, world: World) -> None:
    await world.put(
        lead("a", ("Old 1", "High", APRIL), customer="ann", product="crm"),
        lead("b", ("Old 2", "High", LATER), customer="ann", product="crm"),
        lead("c", ("form fill", "High", LATER), customer="ann", product="crm"),
        lead("d", ("Old 4", "High", LATER), customer="ann", product="crm"),
        lead("e", ("Old 1", "High", APRIL), customer="bob", product="crm"),
    )
    await world.work()
    await store_as_an_older_release(world)
    assert await billed_minor(world, 202404) == 5000
    assert (await apply(runtime))["customers"] == 2
    assert await verdicts(world) == {
        "a": ("billed", 1000),
        "b": ("duplicate", 0),
        "c": ("duplicate", 0),
        "d": ("billed", 1000),
        "e": ("billed", 1000),
    }
    assert await billed_minor(world, 202404) == 3000
    assert await winners(world, "winners") == await winners(world, "actions")
    subjects = sorted(f"{world.partners['acme']}/{customer_uuid(name)}" for name in ("ann", "bob"))
    assert [(kind, subject) for kind, subject, _, _ in await findings(world)] == [
        ("customer", subject) for subject in subjects
    ]
    assert {detail for *_, detail in await findings(world)} == {
        "2 open actions were keyed and judged again, 0 frozen ones not",
        "1 open actions were keyed and judged again, 0 frozen ones not",
    }
    before = await verdicts(world)
    assert (await apply(runtime))["customers"] == 0  # repeating is safe, and finds nothing
    assert await verdicts(world) == before


async def test_r1_a_frozen_winner_stays_and_what_looks_the_same_is_its_duplicate(
    runtime: Runtime, world: World
) -> None:
    await world.put(
        lead("frozen", ("Old 1", "High", MARCH), customer="ann", product="crm"),
        lead("frozen too", ("Old 2", "High", MARCH), customer="ann", product="crm"),
    )
    await world.work()
    await store_as_an_older_release(world)
    assert await world.close("acme", "2024-03")
    await world.put(lead("open", ("Form Fill", "High", APRIL), customer="ann", product="crm"))
    await world.work()
    assert (await verdicts(world))["open"] == ("billed", 1000)
    await apply(runtime)
    frozen = {"frozen": ("billed", 1000), "frozen too": ("billed", 1000)}
    assert await verdicts(world) == frozen | {"open": ("duplicate", 0)}
    assert (await findings(world))[0][3] == "0 open actions were keyed and judged again, 2 frozen ones not"
    # Returning the winner frees its key in today's form, too.
    async with transaction(world.engine, readonly=True) as connection:
        winner = await connection.fetchval(
            "SELECT external_id FROM leads JOIN actions ON lead_id = leads.id JOIN winners ON action_id = actions.id"
            " WHERE winners.duplicate_key = (SELECT duplicate_key FROM actions JOIN leads ON leads.id = lead_id"
            " WHERE external_id = 'open')"
        )
        action_id = await connection.fetchval("SELECT id FROM actions WHERE lead_id = $1", lead_uuid("", winner))
    await _return(world, action_id)
    assert (await verdicts(world))["open"] == ("billed", 1000)


@pytest.mark.parametrize("rules_applied", [False, True])
async def test_r3_a_lead_of_an_older_release_that_comes_again_changes_nothing(
    runtime: Runtime, world: World, rules_applied: bool
) -> None:
    actions = [
        ("Old 1", "High", APRIL),
        ("Old 2", "High", APRIL),
        ("Form Fill", "High", APRIL),
        ("Old 3", "Low", APRIL),
    ]
    await world.put(lead("again", *actions, customer="ann", product="crm"))
    await world.work()
    await store_as_an_older_release(world)
    if rules_applied:
        await apply(runtime)
    spelled = [(OLD.get(kind, kind), level, at) for kind, level, at in actions]
    await world.put(lead("again", *spelled, customer="ann", product="crm"))
    await world.work()
    async with transaction(world.engine, readonly=True) as connection:
        assert await connection.fetchval("SELECT count(*) FROM actions") == 4
        result = await connection.fetchval("SELECT result FROM inbox ORDER BY id DESC LIMIT 1")
    assert result["actions"] == {"replayed": 4}


async def test_r12_e_mails_are_respelled_and_two_people_who_have_one_stay_two(runtime: Runtime, world: World) -> None:
    people = {"one": "a@bücher.example", "other": "a@xn--bcher-kva.example", "third": "zoë@bücher.example"}
    async with transaction(world.engine) as connection:
        await customers.ensure(connection, {name: Person(name, email) for name, email in people.items()})
    result = await apply(runtime)
    assert result["emails"] == 1
    async with transaction(world.engine, readonly=True) as connection:
        rows = await connection.fetch("SELECT external_id, email FROM customers WHERE external_id = ANY($1)", [*people])
    assert {row["external_id"]: row["email"] for row in rows} == people | {"third": "zoë@xn--bcher-kva.example"}
    assert await findings(world) == [
        (
            "person",
            str(customer_uuid("one")),
            str(customer_uuid("other")),
            "two people whose e-mails are one now; they stay two",
        )
    ]


async def test_r5_price_rules_are_keyed_anew_and_the_newer_of_two_that_are_one_counts(
    runtime: Runtime, world: World
) -> None:
    await world.rate("3.00", partner="acme", action_type="Form Fill")
    await world.rate("4.00", partner="acme", action_type="Old 2")
    await world.rate("6.00", partner="acme", action_type="Old 4")
    async with transaction(world.engine) as connection:
        for text, came in OLD.items():
            await connection.execute(
                "UPDATE rates SET action_type = $2, action_type_key = $3 WHERE action_type = $1",
                text,
                came,
                came.casefold(),
            )
        older = await connection.fetchval("SELECT id FROM rates WHERE action_type = 'Form Fill'")
        newer = await connection.fetchval("SELECT id FROM rates WHERE action_type = $1", OLD["Old 2"])
    await world.put(lead("a", ("Form Fill", "High", APRIL), customer="ann", product="crm"))
    await world.work()
    assert await verdicts(world) == {"a": ("billed", 300)}
    await apply(runtime)
    assert await verdicts(world) == {"a": ("billed", 400)}
    assert [(kind, subject, other) for kind, subject, other, _ in await findings(world)] == [
        ("rate", str(older), str(newer))
    ]


async def test_zones_of_the_machine_are_noted_and_posix_ones_are_named_as_the_iana_does(
    runtime: Runtime, world: World
) -> None:
    await world.partner("posix")
    await world.partner("right")
    async with transaction(world.engine) as connection:
        for name, zone in (("posix", "posix/Europe/Berlin"), ("right", "right/Europe/Berlin")):
            await connection.execute(
                "UPDATE partner_time_zones SET timezone = $2 WHERE partner_id = $1", world.partners[name], zone
            )
    await apply(runtime)
    async with transaction(world.engine, readonly=True) as connection:
        rows = await connection.fetch("SELECT DISTINCT timezone FROM partner_time_zones ORDER BY 1")
    assert [row["timezone"] for row in rows] == ["Europe/Berlin", "UTC", "right/Europe/Berlin"]
    assert [(kind, subject) for kind, subject, _, _ in await findings(world)] == [("time_zone", "right/Europe/Berlin")]


async def _return(world: World, action_id: UUID) -> None:
    async with world.unit_of_work() as uow:
        await holds.return_action(uow, world.policies, action_id, "not right")


@pytest.mark.parametrize(("filled", "tasks"), [(True, 1), (False, 0)])
def test_the_migration_starts_the_task_where_something_is_stored(server_url: str, filled: bool, tasks: int) -> None:
    execute(server_url, "CREATE DATABASE test_text_rules")
    try:
        url = url_of_database(server_url, "test_text_rules")
        migrate.upgrade(url, "0012")
        if filled:
            execute(
                url, "INSERT INTO customers (id, external_id, name, email) VALUES (gen_random_uuid(), 'a', 'A', 'a@x')"
            )
        migrate.upgrade(url, "0013")
        assert _fetchval(url, "SELECT count(*) FROM tasks WHERE kind = 'apply_text_rules'") == tasks
    finally:
        execute(server_url, "DROP DATABASE test_text_rules WITH (FORCE)")


def _fetchval(url: str, query: str) -> Any:
    async def fetch() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(fetch())
