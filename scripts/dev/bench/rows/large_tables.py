"""The same load on empty tables and on tables that hold many actions already, in the same run."""

import asyncio

import asyncpg

from scripts.dev.bench.bench import Bench
from scripts.dev.bench.check import WrongTotals
from scripts.dev.bench.figures import Figure
from scripts.dev.bench.filled import LAST_PERIOD, filled
from scripts.dev.bench.ingest import Ingested, ingest
from scripts.dev.bench.rows.throughput import BATCH
from scripts.dev.bench.servers import Database
from scripts.dev.bench.traffic import Traffic


def large_tables(bench: Bench) -> list[Figure]:
    """The rate on full tables, as a share of that on empty ones. The stored actions belong to the same customers."""
    stored = bench.sizes.stored_actions
    figure = Figure(f"large tables: {stored:,} actions stored", "≥ 0.8 × empty", "leads/s", [], dropped=0)
    figure.yardsticks = {"empty tables": []}
    empty = [at_stored(bench, 0, bench.sizes.leads, 1, f"e{repeat}")[0] for repeat in range(bench.repeats)]
    full = at_stored(bench, stored, bench.sizes.leads, bench.repeats, "f")
    figure.values = [each.leads_per_s for each in full]
    figure.yardsticks["empty tables"] = [each.leads_per_s for each in empty]
    figure.check, figure.dropped = full[-1].check, sum(each.load.dropped for each in full) * BATCH
    figure.meets = figure.ratio("empty tables") >= 0.8
    figure.notes = [f"empty: {each.costs}" for each in empty] + [f"stored: {each.costs}" for each in full]
    if stored < 10_000_000:
        figure.notes += ["the target says 10 M; take --full for that"]
    return [figure]


def at_stored(bench: Bench, stored: int, leads: int, repeats: int, name: str) -> list[Ingested]:
    """Loads, each on a copy of a database with so many actions in earlier months, which must be the same afterwards."""
    full = filled(bench, stored)
    before = asyncio.run(_earlier(full))
    done = []
    for repeat in range(repeats):
        bench.say(f"stored {before[0]:,}: {leads:,} leads")
        database = bench.servers.copy(full)
        done.append(ingest(bench, database, Traffic(f"{name}{repeat}", full.world, leads, BATCH)))
        if (after := asyncio.run(_earlier(database))) != before:
            raise WrongTotals(f"the stored actions have changed: {before} became {after}")
        bench.servers.drop(database)
    return done


async def _earlier(database: Database) -> tuple[int, int]:
    connection = await asyncpg.connect(database.url)
    try:
        row = await connection.fetchrow(
            """
            SELECT count(*), coalesce(sum(billed_minor), 0)::bigint FROM actions WHERE billing_period <= $1
            """,
            LAST_PERIOD,
        )
        assert row is not None
        return row[0], row[1]
    finally:
        await connection.close()
