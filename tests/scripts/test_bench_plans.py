"""`scripts/bench plans`: a statement that grows with what is stored is found, and every statement is looked at."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from db.settings import Settings
from scripts.benchmarks.masters import create
from scripts.benchmarks.plans.batch import Cast, count_of_actions
from scripts.benchmarks.plans.judgement import LARGE, Judged, Statement, judge
from scripts.benchmarks.plans.names import catalogue
from scripts.benchmarks.plans.reading import Reading, Scan, most, reading
from scripts.benchmarks.plans.recorder import explain_everything
from scripts.benchmarks.plans.scene import opened
from scripts.benchmarks.plans.text import plans_text
from scripts.benchmarks.rows.plans import Readings, readings_of
from scripts.benchmarks.servers import Database, Servers
from scripts.benchmarks.stored import Fill, fill
from scripts.benchmarks.world import World

WORLD = World(partners=5, products_per_partner=2, customers=400)
STORED = 40_000
CAST = Cast(WORLD, "custom", 0, 20)
STATEMENT = Statement("worker", "db.somewhere.read", "custom")
SIZES = {"actions": 1_000_000, "products": 30}


def a_reading(*scans: Scan, returned: int = 10, pages: int = 50) -> Reading:
    return Reading(scans, returned, pages, 1.0)


def faults(few: Reading | None, many: Reading, asked: int = 100) -> list[str]:
    return judge(STATEMENT, 1, few, many, SIZES, asked).faults


def test_rows_that_were_looked_at_and_thrown_away_count_once_for_each_loop() -> None:
    plan = {
        "Node Type": "Nested Loop",
        "Actual Rows": 6.0,
        "Actual Loops": 1,
        "Shared Hit Blocks": 40,
        "Shared Read Blocks": 2,
        "Plans": [
            {"Node Type": "Function Scan", "Actual Rows": 3.0, "Actual Loops": 1},
            {
                "Node Type": "Index Scan",
                "Relation Name": "actions",
                "Index Name": "pk_actions",
                "Actual Rows": 2.0,
                "Rows Removed by Filter": 5.0,
                "Actual Loops": 3,
            },
            {
                "Node Type": "Bitmap Index Scan",
                "Index Name": "ix_of_leads",
                "Actual Rows": 4.0,
                "Actual Loops": 1,
            },
        ],
    }
    read = reading(plan, 0.5, {"ix_of_leads": "leads"})
    assert read.scans == (
        Scan("Index Scan pk_actions", "actions", 21),
        Scan("Bitmap Index Scan ix_of_leads", "leads", 4),
    )
    assert (read.read, read.returned, read.pages, read.largest.table) == (25, 6, 42, "actions")


def test_what_a_statement_changes_is_what_it_is_given() -> None:
    scan = {"Node Type": "Index Scan", "Relation Name": "inbox", "Actual Rows": 7.0, "Actual Loops": 1}
    plan = {
        "Node Type": "ModifyTable",
        "Relation Name": "inbox",
        "Actual Rows": 0.0,
        "Actual Loops": 1,
        "Plans": [scan],
    }
    assert reading(plan, 0.1, {}).returned == 7
    assert reading(plan, 0.1, {}).read == 7, "the table that is changed is not read once more"


def test_nothing_is_wrong_with_look_ups() -> None:
    look_ups = a_reading(Scan("Index Scan pk_actions", "actions", 300), Scan("Seq Scan", "products", 30))
    assert faults(look_ups, look_ups) == []


def test_a_large_table_read_from_its_beginning_is_a_fault_even_if_the_reading_stops_early() -> None:
    assert faults(None, a_reading(Scan("Seq Scan", "actions", 3))) == [
        "scans actions (1,000,000 rows) from its beginning"
    ]


def test_an_index_read_as_a_whole_is_a_fault() -> None:
    whole = a_reading(Scan("Index Only Scan pk_actions", "actions", 600_000), returned=600_000)
    assert faults(None, whole) == ["reads 600,000 of the 1,000,000 rows of actions"]


def test_far_more_rows_than_asked_for_are_a_fault() -> None:
    assert faults(None, a_reading(Scan("Index Scan ix", "actions", 2_000))) == []
    assert faults(None, a_reading(Scan("Index Scan ix", "actions", 2_001))) == ["reads 2,001 rows of actions for 100"]


def test_more_rows_or_pages_the_more_is_stored_are_a_fault() -> None:
    few, many = a_reading(Scan("Index Scan ix", "products", 10)), a_reading(Scan("Index Scan ix", "products", 1_500))
    assert faults(few, many) == ["read 10 rows when there was a tenth, now 1,500"]
    passed_over = a_reading(Scan("Index Scan ix", "products", 10), pages=5_000)
    assert faults(few, passed_over) == ["looked at 50 pages when there was a tenth, now 5,000"]


def test_what_waits_may_be_counted_but_not_by_reading_what_is_done() -> None:
    waiting = Statement("backpressure", "db.backlog.leads · inbox", "custom")
    counted = a_reading(Scan("Index Scan ix", "actions", 900_000))
    assert judge(waiting, 1, None, counted, SIZES, 100).faults == []
    scanned = a_reading(Scan("Seq Scan", "actions", 900_000))
    assert judge(waiting, 1, None, scanned, SIZES, 100).faults == ["scans actions (1,000,000 rows) from its beginning"]


def test_the_page_shows_all_of_the_hot_path_and_of_others_what_reads_most_or_grows() -> None:
    def judged(path: str, name: str, rows: int, *faults: str) -> Judged:
        return Judged(Statement(path, name, "custom"), 1, None, a_reading(Scan("Scan", "t", rows)), list(faults))

    every = [
        judged("worker", "a", 1),
        judged("worker", "b", 2),
        judged("page", "least", 1),
        judged("page", "grows", 5, "why"),
        judged("page", "most", 9),
        judged("other", "only", 1),
    ]
    lines = plans_text(every, 10, 10, ("worker",)).splitlines()[4:]
    assert [line.split(" | ")[1] for line in lines] == ["`a`", "`b`", "`grows`", "`only`"]
    assert [line.split(" | ")[-1] for line in lines] == ["no |", "no |", "**yes**: why |", "no |"]


@dataclass
class Place:
    """A filled database and the servers it is on."""

    servers: Servers
    database: Database

    async def execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.database.url)
        await connection.execute(statement)
        await connection.close()

    async def played(self, mode: str = "force_custom_plan") -> tuple[Readings, dict[str, int]]:
        """The readings of a batch on this database, and the sizes of its tables."""
        async with opened(self.servers, self.database) as scene:
            await scene.prepare(STORED)
            await scene.remember(CAST)
        await asyncio.to_thread(explain_everything, self.servers, self.database, mode)
        connection = await asyncpg.connect(self.database.url)
        known = await catalogue(connection)
        await connection.close()
        return await readings_of(self.servers, self.database, CAST, known, STORED), dict(known.sizes)


@pytest.fixture
async def place(settings: Settings, tmp_path: Path) -> Place:
    key = await create(WORLD, settings)
    connection = await asyncpg.connect(settings.database_url)
    assert await fill(connection, Fill(50, (202402, 202403), 50), WORLD.products_per_partner) == STORED > LARGE
    await connection.close()
    name = urlsplit(settings.database_url).path.removeprefix("/")
    servers = Servers(tmp_path, settings.database_url, settings.redis_url, tmp_path)
    return Place(servers, Database(name, settings.database_url, key, WORLD))


async def test_every_statement_on_the_way_of_a_lead_is_looked_at(place: Place) -> None:
    """Also those inside triggers. That the batch is decided right, `Scene.play` checks by itself."""
    read, sizes = await place.played()
    assert {statement.name for statement in read if statement.path == "worker"} >= {
        "db.inbox.claim · inbox",
        "db.people.introduce · customers",
        "db.intake.known_leads · leads",
        "db.intake.known_leads · actions",
        "db.locks.lock_customers · customer_states",
        "db.ledger.periods_of · customer_periods",
        "db.ledger.winners_of · winners",
        "db.ledger.verdicts_of_winners · actions",
        "db.ledger.verdicts_of_keys · actions",
        "db.ledger.verdicts_of_prefixes · winners",
        "db.ledger.open_verdicts · actions",
        "db.quarantine.claim_resolvable · quarantine",
        "trigger refuse_orphans_of_actions_lead_id",
        "trigger refuse_orphans_of_leads_customer_id",
        "trigger refuse_frozen_verdicts",
    }
    assert {statement.path for statement in read} >= {"backpressure", "sweeper", "report", "leads", "batch", "metrics"}
    asked = count_of_actions(CAST.batch())
    judged = [
        judge(statement, len(calls), None, most(calls), sizes, asked)
        for statement, calls in read.items()
        if statement.path == "worker"
    ]
    assert [(each.statement.name, each.faults) for each in judged if each.faults] == []
    assert plans_text(judged, STORED, asked, ("worker",)).count("\n| worker |") == len(judged)


async def test_an_index_that_is_gone_is_found(place: Place) -> None:
    await place.execute("DROP INDEX ix_actions_lead_id")
    read, sizes = await place.played()
    found = Statement("worker", "db.intake.known_leads · actions", "custom")
    assert (
        judge(found, 1, None, most(read[found]), sizes, count_of_actions(CAST.batch()))
        .faults[0]
        .startswith("scans actions (40,000 rows) from its beginning")
    )
