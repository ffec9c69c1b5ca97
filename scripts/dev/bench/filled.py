"""Databases with much in them, filled once and kept: several rows of the table measure on copies of the same one."""

import asyncio

import asyncpg

from scripts.dev.bench.bench import Bench
from scripts.dev.bench.servers import Database
from scripts.dev.bench.stored import Fill, fill
from scripts.dev.bench.world import World

LAST_PERIOD = 202403
_ACTIONS_PER_PERIOD = 50


def filled(bench: Bench, actions: int) -> Database:
    """A database with so many actions in the months up to March 2024, of all its customers alike."""
    if actions not in bench.filled:
        database = bench.servers.database(World(customers=bench.sizes.customers))
        bench.filled[actions] = database
        if actions:
            bench.say(f"filling {actions:,} actions into earlier months")
            asyncio.run(_fill(database, actions))
    return bench.filled[actions]


def periods_before(last: int, count: int) -> tuple[int, ...]:
    """So many months up to `last`, as numbers like 202403."""
    months = last // 100 * 12 + last % 100 - 1
    return tuple(month // 12 * 100 + month % 12 + 1 for month in range(months - count + 1, months + 1))


def fill_of(actions: int, customers: int) -> Fill:
    """At least so many actions: up to fifty a month for each customer, an even number because leads have two."""
    per_customer = min(_ACTIONS_PER_PERIOD, max(actions // customers // 2 * 2, 2))
    return Fill(per_customer, periods_before(LAST_PERIOD, -(-actions // (per_customer * customers))), per_customer)


async def _fill(database: Database, actions: int) -> None:
    world = database.world
    connection = await asyncpg.connect(database.url)
    try:
        await fill(connection, fill_of(actions, world.customers), world.products_per_partner)
    finally:
        await connection.close()
