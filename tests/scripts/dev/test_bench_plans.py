"""`scripts/bench plans`: a statement that grows with what is stored is found, and every statement is looked at."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from db.core.settings import Settings
from scripts.dev.bench.masters import create
from scripts.dev.bench.plans.batch import Cast, count_of_actions
from scripts.dev.bench.plans.gaps import asked, gap
from scripts.dev.bench.plans.judgement import LARGE, Judged, Statement, judge
from scripts.dev.bench.plans.names import catalogue
from scripts.dev.bench.plans.reading import Index, Reading, Scan, reading
from scripts.dev.bench.plans.recorder import explain_everything
from scripts.dev.bench.plans.scene import opened
from scripts.dev.bench.plans.text import plans_text
from scripts.dev.bench.rows.plans import Readings, asked_for, readings_of
from scripts.dev.bench.servers import Database, Servers
from scripts.dev.bench.stored import Fill, fill
from scripts.dev.bench.world import World

WORLD = World(partners=5, products_per_partner=2, customers=400)
STORED = 40_000
CAST = Cast(WORLD, "custom", 0, 20)
STATEMENT = Statement("worker", "db.somewhere.read", "custom")
SIZES = {"actions": 1_000_000, "products": 30}
INDEXES = {"pk_actions": Index("actions", ("id",)), "ix_of_leads": Index("leads", ("lead_id", "created_at", "id"))}


def a_reading(*scans: Scan, returned: int = 10, pages: int = 50) -> Reading:
    return Reading(scans, returned, pages, 1.0)


def faults(few: Reading | None, many: Reading, asked: int = 100) -> list[str]:
    return judge(STATEMENT, [few] if few else [], [many], SIZES, asked).faults


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
    read = reading(plan, 0.5, INDEXES)
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


@pytest.mark.parametrize(
    ("condition", "behind"),
    [
        ("(a = 1)", ""),
        ("((a = wanted.a) AND (b = ANY ($1)) AND (c >= 3) AND (c < 4))", ""),
        ("((a = 1) AND (b > 2))", ""),
        ("((a IS NULL) AND (b IS NOT NULL))", ""),
        ("((ROW(a, b) >= ROW(one.a, 0)) AND (ROW(a, b) < ROW((one.a + 1), 0)))", ""),
        ("((a = 1) AND (ROW(b, c) > ROW(2, 3)))", ""),
        ("((a = 'b > 1 AND (b < 2)'::text) AND (b = 2))", ""),
        ("(b = ANY ((InitPlan 1).col1))", "b"),
        ("((a = 1) AND (c = 3))", "c"),
        ("((a = 1) AND (b >= wanted.b) AND (c = 3))", "c"),
        ("((a > 1) AND (b = 2))", "b"),
        ("((a IS NOT NULL) AND (b = 2))", "b"),
        ("((ROW(a, b) >= ROW(1, 2)) AND (c = 3))", "c"),
        ("((a = 1) AND (ROW(a, c, b) >= ROW(1, 2, 3)))", "c"),
    ],
)
def test_a_column_is_behind_a_gap_if_one_before_it_has_a_range_or_is_not_named(condition: str, behind: str) -> None:
    assert gap(asked(condition), ("a", "b", "c")) == behind


def test_a_condition_that_is_not_understood_is_not_passed_over() -> None:
    with pytest.raises(ValueError, match="not all is understood"):
        asked("((a = 1) AND ((b)::text = 'y'::text))")


def test_a_gap_is_none_if_another_index_of_the_same_rows_answers_without_one() -> None:
    def behind(indexes: dict[str, Index]) -> str:
        plan = {
            "Node Type": "Index Scan",
            "Relation Name": "actions",
            "Index Name": "ix",
            "Index Cond": "((a = 1) AND (c = 3))",
            "Actual Rows": 1.0,
            "Actual Loops": 1,
        }
        return reading(plan, 0.1, {"ix": Index("actions", ("a", "b", "c")), **indexes}).scans[0].gap

    assert behind({}) == "c"
    assert behind({"other": Index("actions", ("c", "a"))}) == ""
    assert behind({"of others": Index("leads", ("c", "a"))}) == "c"
    assert behind({"of some": Index("actions", ("c", "a"), "(d IS NULL)")}) == "c"
    assert behind({"for less": Index("actions", ("c", "d"))}) == "c"


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


def test_a_gap_in_any_call_is_a_fault() -> None:
    with_gap = a_reading(Scan("Index Scan ix", "actions", 1, "customer_id"))
    without = a_reading(Scan("Index Scan ix", "actions", 300))
    shown = ["Index Scan ix is asked for customer_id behind a gap: PostgreSQL before 18 reads all that lies between"]
    assert judge(STATEMENT, [], [without, with_gap], SIZES, 100).faults == shown
    assert judge(STATEMENT, [with_gap], [without], SIZES, 100).faults == shown
    waiting = Statement("backpressure", "db.intake.backlog.leads · inbox", "custom")
    assert judge(waiting, [], [with_gap], SIZES, 100).faults == shown


def test_what_waits_may_be_counted_but_not_by_reading_what_is_done() -> None:
    waiting = Statement("backpressure", "db.intake.backlog.leads · inbox", "custom")
    counted = a_reading(Scan("Index Scan ix", "actions", 900_000))
    assert judge(waiting, [], [counted], SIZES, 100).faults == []
    scanned = a_reading(Scan("Seq Scan", "actions", 900_000))
    assert judge(waiting, [], [scanned], SIZES, 100).faults == ["scans actions (1,000,000 rows) from its beginning"]


def test_what_looks_through_so_many_rows_may_not_read_more_where_more_is_stored() -> None:
    leads = Statement("leads", "db.reports.leads_on_record.page · leads", "custom")
    some, more = a_reading(Scan("Index Scan ix", "actions", 6_000)), a_reading(Scan("Index Scan ix", "actions", 60_000))
    assert judge(leads, [some], [some], SIZES, 100).faults == []
    assert judge(leads, [some], [more], SIZES, 100).faults == ["read 6,000 rows when there was a tenth, now 60,000"]


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
        "db.core.locks.lock_inbox_rows · inbox",
        "db.masters.customers.foresee · customers",
        "db.intake.stored_leads.find · leads",
        "db.intake.stored_leads.find · actions",
        "db.core.locks._lock_states · customer_states",
        "db.ledger.period_counters.read · customer_periods",
        "db.ledger.winners.by_key · winners",
        "db.ledger.reading.verdicts_of_actions · actions",
        "db.ledger.reading.first_counted · actions",
        "db.ledger.reading.verdicts_of_first_winners · actions",
        "db.ledger.reading.open_verdicts · actions",
        "db.core.locks.lock_resolvable_quarantine_rows · quarantine",
        "trigger refuse_orphans_of_actions_lead_id",
        "trigger refuse_orphans_of_leads_customer_id",
        "trigger refuse_frozen_verdicts",
    }
    assert {statement.path for statement in read} >= {
        *("backpressure", "sweeper", "closing", "report", "leads", "batch", "metrics")
    }
    about = count_of_actions(CAST.batch())
    judged = [judge(statement, [], calls, sizes, asked_for(statement, about)) for statement, calls in read.items()]
    assert [(str(each.statement), each.faults) for each in judged if each.faults] == []
    assert [(str(statement), scan) for statement, calls in read.items() for scan in _behind_gaps(calls)] == []
    of_workers = [each for each in judged if each.statement.path == "worker"]
    assert plans_text(judged, STORED, about, ("worker",)).count("\n| worker |") == len(of_workers)


@pytest.mark.slow
async def test_an_index_that_is_gone_is_found(place: Place) -> None:
    await place.execute("DROP INDEX ix_actions_lead_id")
    read, sizes = await place.played()
    found = Statement("worker", "db.intake.stored_leads.find · actions", "custom")
    assert (
        judge(found, [], read[found], sizes, count_of_actions(CAST.batch()))
        .faults[0]
        .startswith("scans actions (40,000 rows) from its beginning")
    )


async def test_an_index_in_another_order_is_found(place: Place) -> None:
    await place.execute("DROP INDEX ix_actions_duplicate_key")
    await place.execute("CREATE INDEX ix_actions_duplicate_key ON actions (partner_id, occurred_at, customer_id)")
    read, _ = await place.played()
    behind = _behind_gaps(read[Statement("worker", "db.ledger.reading.open_verdicts · actions", "custom")])
    assert {(scan.table, scan.gap) for scan in behind} == {("actions", "customer_id")}


def _behind_gaps(calls: list[Reading]) -> list[Scan]:
    return [scan for call in calls for scan in call.scans if scan.gap]
