"""Everything that can happen to a customer, decided on the oldest Postgres and by the oracle."""

from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction
from tests.builders import Wire, distinct, lead, person
from tests.db.ledger.test_r08_order import test_r8_any_history_gives_what_the_oracle_says
from tests.oldest_postgres.server import SUPPORTED
from tests.oracle import ActionRef
from tests.world import World

__all__ = ["test_r8_any_history_gives_what_the_oracle_says"]

EARLY, APRIL, LATE_APRIL, MAY = (f"2024-{day}T09:00:00Z" for day in ("04-02", "04-10", "04-28", "05-10"))


def click(lead_id: str, at: str, **more: Any) -> Wire:
    return lead(lead_id, ("Click", "High", at), **({"customer": "ann", "product": "crm"} | more))


def clicked(lead_id: str, at: str) -> ActionRef:
    return ("", lead_id, "Click", "High", at, 1)


async def test_the_server_is_an_older_one(engine: AsyncEngine) -> None:
    connection: asyncpg.Connection
    async with transaction(engine, readonly=True) as connection:
        assert int(await connection.fetchval("SHOW server_version_num")) // 10_000 in SUPPORTED


@pytest.mark.parametrize("window", ["forever", "period", 10])
async def test_every_event_is_decided_as_the_oracle_decides_it(engine: AsyncEngine, window: Any) -> None:
    world = World(engine)
    await world.partner("acme", cap="65.00", dedup_window=window)
    for product in ("crm", "erp"):
        await world.product(product, "acme")
    for customer in ("ann", "bob"):
        await world.customer(customer, f"{customer}@example.com")

    await world.send(click("first", APRIL), click("again", LATE_APRIL), click("bob's", APRIL, customer="bob"))
    await world.send(*distinct(6, APRIL, customer="ann", product="erp"))
    await world.check()
    await world.send(click("unseats", EARLY), click("first", APRIL), click("first", APRIL, customer="bob"))
    await world.send(
        click("unknown", APRIL, product="later"),
        click("nobody's", APRIL, customer="carl"),
        click("new", APRIL, customer="dora") | {"customer": person("dora@example.com")},
    )
    await world.check()
    assert await world.hold(clicked("unseats", EARLY))
    assert await world.return_action(clicked("bob's", APRIL))
    await world.check()

    assert await world.close("acme", "2024-03")
    assert await world.close("acme", "2024-04")
    await world.send(click("late", EARLY), click("in time", MAY))
    await world.product("later", "acme")
    await world.customer("carl", "carl@example.com")
    assert await world.return_action(clicked("first", APRIL))
    await world.check()
    assert await world.reopen("acme", "2024-04")
    assert await world.release(clicked("unseats", EARLY))
    await world.check()

    too_early = "2024-03-31T23:59:59Z"
    assert not await world.rate("3.00", partner="acme", action_type="Click", effective_from=too_early)
    assert await world.rate("3.00", partner="acme", action_type="Click", effective_from="2024-04-05T00:00:00Z")
    assert await world.terms("acme", "2024-05", cap="12.50", cap_scope="lifetime", dedup_window="forever")
    await world.check()
    assert await world.close("acme", "2024-04")
    assert await world.close("acme", "2024-05")
    await world.check()
