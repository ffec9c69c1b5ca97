import asyncio
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.core.engine import transaction
from db.core.settings import Settings
from db.ledger import invariants
from scripts.dev.bench import page
from scripts.dev.bench.__main__ import print_figures
from scripts.dev.bench.bench import percentile
from scripts.dev.bench.check import WrongTotals, check
from scripts.dev.bench.expected import Job, expected
from scripts.dev.bench.figures import Figure, table
from scripts.dev.bench.filled import fill_of, periods_before
from scripts.dev.bench.load import Plan, Result
from scripts.dev.bench.masters import create
from scripts.dev.bench.profiling.clock import label
from scripts.dev.bench.rows.curves import Curve
from scripts.dev.bench.rows.storage import billion_table, storage_table
from scripts.dev.bench.sizes import FULL, Sizes
from scripts.dev.bench.stored import Fill, fill
from scripts.dev.bench.svg import svg
from scripts.dev.bench.traffic import Traffic, from_plain, to_plain
from scripts.dev.bench.usage import cpu_s, used_s
from scripts.dev.bench.weights import Weight
from scripts.dev.bench.world import World

ROOT = Path(__file__).parents[3]
SMALL = World(partners=2, products_per_partner=2, customers=20)
STALL_S = 0.4


def test_traffic_is_the_same_in_every_process_that_knows_its_parameters() -> None:
    traffic = Traffic("t", SMALL, 95, 10, skew=1.0)
    again = from_plain(json.loads(json.dumps(to_plain(traffic))))
    assert again == traffic
    assert list(again.chunks()) == list(traffic.chunks())
    assert [len(chunk) for chunk in traffic.chunks()] == [10] * 10, "rounded up to whole requests"
    assert list(traffic.chunks()) != list(replace(traffic, seed=2).chunks())


def test_zipf_two_gives_one_customer_most_of_the_leads() -> None:
    drawn: Counter[str] = Counter()
    for chunk in Traffic("t", World(customers=1000), 2000, 100, skew=2.0).chunks():
        drawn.update(lead["customer_id"] for lead in chunk)
    assert 0.55 < drawn.most_common(1)[0][1] / 2000 < 0.67


def test_instants_rise_unless_shuffled() -> None:
    rising = [lead["actions"][0]["timestamp"][:10] for chunk in Traffic("t", SMALL, 500, 50).chunks() for lead in chunk]
    assert rising == sorted(rising)
    later = Traffic("t", SMALL, 50, 50, begin=0.5)
    assert min(lead["actions"][0]["timestamp"] for chunk in later.chunks() for lead in chunk) > "2024-04-15"


async def test_latency_counts_from_the_scheduled_arrival_and_what_finds_the_queue_full_is_dropped(
    tmp_path: Path,
) -> None:
    """One connection, one stall: everybody who came during the stall waited for its end."""
    async with _stalling_server() as port:
        patient = await _load(tmp_path, port, backlog=1000)
        hasty = await _load(tmp_path, port, backlog=5)
    assert patient.statuses == {"202": 200}
    assert patient.dropped == 0
    assert percentile(patient.latency_s, 0.99) > 0.8 * STALL_S, "not only the one request that met the stall is slow"
    assert sum(each > STALL_S / 2 for each in patient.latency_s) > 20
    assert hasty.dropped > 20
    assert hasty.dropped + len(hasty.acknowledged) == hasty.offered == 200


@asynccontextmanager
async def _stalling_server() -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answered = 0
        while head := await reader.readuntil(b"\r\n\r\n"):
            await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
            answered += 1
            if answered == 20:
                await asyncio.sleep(STALL_S)
            content = b'{"batch_id":"00000000-0000-0000-0000-000000000000"}'
            writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: %d\r\n\r\n%s" % (len(content), content))

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(quietly, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _load(folder: Path, port: int, backlog: int, more_ports: Sequence[int] = (), connections: int = 1) -> Result:
    traffic = to_plain(Traffic("t", SMALL, 200, 1))
    plan = Plan([port, *more_ports], "/leads", "key", traffic, 200.0, connections, backlog, 30.0)
    (folder / "plan").write_bytes(msgspec.json.encode(plan))
    words = ("-m", "scripts.dev.bench.load", str(folder / "plan"), str(folder / "result"))
    process = await asyncio.create_subprocess_exec(sys.executable, *words, cwd=ROOT)
    assert await process.wait() == 0
    return msgspec.json.decode((folder / "result").read_bytes(), type=Result)


def test_the_oracle_judges_what_was_acknowledged_and_only_the_sample() -> None:
    load = to_plain(Traffic("t", SMALL, 40, 10))
    assert (all_of := expected(Job([(load, [0, 1, 2, 3])], 1))).leads == 40
    assert expected(Job([(load, [0, 2])], 1)).leads == 20
    sampled = expected(Job([(load, [0, 1, 2, 3])], 4))
    assert sampled.leads == 40
    assert sampled.products == {}
    assert set(sampled.customers) <= {SMALL.customer(number) for number in range(0, 20, 4)}
    assert all(all_of.customers[name] == totals for name, totals in sampled.customers.items())


async def test_a_database_that_says_something_else_than_the_oracle_is_found(settings: Settings, tmp_path: Path) -> None:
    await create(SMALL, settings)
    traffic = Traffic("t", SMALL, 10, 10)
    accepted = Result(0, 0, 1, 0, 0, {"202": 1}, [0], [], [], [], [], 0)
    with pytest.raises(WrongTotals, match="totals of all differ"):
        await asyncio.to_thread(check, tmp_path, settings.database_url, [(traffic, accepted)], 1000)
    lost = Result(0, 0, 1, 0, 1, {}, [], [], [], [], [], 0)
    with pytest.raises(WrongTotals, match="got no answer"):
        await asyncio.to_thread(check, tmp_path, settings.database_url, [(traffic, lost)], 1000)


async def test_stored_rows_are_consistent(settings: Settings, engine: AsyncEngine) -> None:
    await create(SMALL, settings)
    async with engine.connect() as pooled:
        connection = (await pooled.get_raw_connection()).driver_connection
        assert connection is not None
        indexes = await connection.fetchval("SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'")
        assert await fill(connection, Fill(60, (202402, 202403), 55), SMALL.products_per_partner) == 20 * 60 * 2
        assert await connection.fetchval("SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'") == indexes
    async with transaction(engine, readonly=True) as connection:
        reports, _ = await invariants.next_reports(connection, invariants.Position())
        assert [report.period for report in reports] == [202402, 202403] * 2
        for report in reports:
            assert await invariants.violations(connection, report.partner_id, report.period) == []
        row = await connection.fetchrow("SELECT sum(billed_minor) AS billed, sum(duplicate) AS d FROM product_periods")
    assert row is not None
    assert (row["billed"], row["d"]) == (20 * 2 * 50 * 200, 20 * 2 * 5)


def test_a_ratio_is_taken_repeat_by_repeat() -> None:
    figure = Figure("row", "≥ 0.8 ×", "leads/s", [100, 300, 90], yardsticks={"bare": [200, 300, 100]})
    assert figure.ratio("bare") == 0.9
    assert figure.measured == "100 (90 to 300) leads/s"
    header, line = table([figure])
    assert dict(zip(header, line, strict=True))["measured: median (least to most)"] == "100 (90 to 300) leads/s"


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        (FULL, ""),
        (replace(FULL, singles=1, leads=1), ""),  # no target names these
        (
            replace(FULL, report_actions=200_000),
            "Smaller sizes than the targets name, which --full takes: "
            "200,000 instead of 1,000,000 actions in a report.",
        ),
        (
            Sizes(),
            "Smaller sizes than the targets name, which --full takes: 1,000,000 instead of 10,000,000 actions stored, "
            "20,000 instead of 100,000 actions of one customer, 200 instead of 2,000 partners beside others, "
            "5,000 instead of 100,000 quarantined leads beside others, 24 instead of 100 large bodies beside others, "
            "200,000 instead of 1,000,000 actions in a report, 1,000 instead of 10,000 partners in a run, "
            "1,000 instead of 10,000 partners behind the pages.",
        ),
    ],
)
def test_the_printed_table_says_what_is_smaller_than_its_target(
    capsys: pytest.CaptureFixture[str], sizes: Sizes, said: str
) -> None:
    print_figures([Figure("row", "≥ 1", "ms", [2.0], meets=True)], [], {}, sizes)
    printed = " ".join(capsys.readouterr().out.split())
    assert said in printed
    assert ("Smaller sizes" in printed) is bool(said)


def test_a_curve_is_an_svg_with_a_dot_per_measurement() -> None:
    curve = Curve("c", "A < B", "rows", "leads/s", {"ours": [(0, 900), (1000, 800), (10_000_000, 700)]}, True, "")
    root = ET.fromstring(svg(curve))
    dots = [
        (float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in root.iter("{http://www.w3.org/2000/svg}circle")
    ]
    assert len(dots) == 3
    assert [x for x, _ in dots] == sorted(x for x, _ in dots)
    assert [y for _, y in dots] == sorted(y for _, y in dots), "less is lower"


def test_the_page_keeps_what_was_not_measured_now(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    marks = "".join(f"<!-- bench:{mark} -->\nold\n<!-- /bench:{mark} -->\n" for mark in ("table", "curves"))
    (tmp_path / "performance.md").write_text(f"by hand\n{marks}")
    monkeypatch.setattr(page, "PAGE", tmp_path / "performance.md")
    monkeypatch.setattr(page, "DATA", tmp_path / "performance")
    one, two, wrong = Figure("one", "t", "ms", [1.0]), Figure("two", "t", "ms", [2.0]), Figure("row", "t", "", [])
    page.write_page(["other", "row"], [one, two, wrong], [], page.surroundings())
    assert "| row | t |" in (tmp_path / "performance.md").read_text()
    page.write_page(["row"], [Figure("two", "t", "ms", [3.0])], [], page.surroundings())
    text = (tmp_path / "performance.md").read_text()
    assert text.startswith("by hand\n<!-- bench:table -->\n| row |")
    assert "| one | t | 1 ms |" in text
    assert "| row | t |" not in text  # it could be measured this time
    assert "| two | t | 3 ms |" in text


def test_the_time_of_processes_that_have_ended_counts() -> None:
    before = cpu_s([os.getpid()])
    code = "import time\nwhile time.process_time() < 0.5: pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert used_s(before, cpu_s([os.getpid()])) > 0.45  # read in steps of 10 ms


def test_months_before() -> None:
    assert periods_before(202403, 4) == (202312, 202401, 202402, 202403)


def test_a_statement_has_one_name_at_both_ends() -> None:
    assert label('COPY "actions"("id", "lead_id") FROM STDIN WITH (FORMAT binary)') == "COPY actions"
    assert label("\n  SELECT 1\n  FROM x;") == "SELECT 1 FROM x"


def test_the_page_of_this_repository_has_every_place() -> None:
    text = page.PAGE.read_text()
    for mark in ("table", "curves", "pages", "plans", "profile-worker", "profile-accept"):
        assert f"<!-- bench:{mark} -->\n" in text
        assert f"<!-- /bench:{mark} -->" in text
    text = page.SCALING.read_text()
    for mark in ("scale", "storage", "billion"):
        assert f"<!-- bench:{mark} -->\n" in text
        assert f"<!-- /bench:{mark} -->" in text


def test_a_text_goes_to_the_page_that_has_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, mark in (("PAGE", "one"), ("SCALING", "two")):
        (tmp_path / name).write_text(f"by hand\n<!-- bench:{mark} -->\nold\n<!-- /bench:{mark} -->\n")
        monkeypatch.setattr(page, name, tmp_path / name)
    page.put("two", "new")
    assert (tmp_path / "PAGE").read_text() == "by hand\n<!-- bench:one -->\nold\n<!-- /bench:one -->\n"
    assert (tmp_path / "SCALING").read_text() == "by hand\n<!-- bench:two -->\nnew\n<!-- /bench:two -->\n"
    with pytest.raises(ValueError, match="no page has a place for 'three'"):
        page.put("three", "new")


def test_a_billion_a_day_is_a_thousand_times_a_million() -> None:
    costs = {"api": 8.64, "worker": 86.4, "postgres": 864.0, "WAL": 8_640.0, "storage": 1_500.0}
    lines = billion_table(costs).splitlines()
    assert [line.split(" | ")[2].rstrip(" |") for line in lines[2:]] == [
        "0.1 cores, busy day and night",
        "1.0 cores, busy day and night",
        "10.0 cores, busy day and night",
        "100.0 MB/s, 8.64 TB a day",
        "1.50 TB a day, 45 TB a month",
        "2; of 10,000 partners alike each has 5,000",
    ]


def test_room_is_shared_out_to_a_million_actions() -> None:
    grown = {"actions": Weight(1_000_000, 2_000_000, 0), "tallies": Weight(8, 0, 0)}
    _, _, actions, together = storage_table(grown, 10_000).splitlines()
    assert actions == "| `actions` | 100.0 | 200.0 | 0.0 | 300.0 |"
    assert together.startswith("| **all** | 100.0 | 200.0 | 0.0 | 300.0 |")


def test_filled_months_hold_whole_leads() -> None:
    """Two actions to a lead, so an odd number to a customer would make half a lead."""
    assert [fill_of(actions, 30_000) for actions in (100_000, 1_000_000, 10_000_000)] == [
        Fill(2, (202402, 202403), 2),
        Fill(32, (202402, 202403), 32),
        Fill(50, periods_before(202403, 7), 50),
    ]


async def test_a_load_is_spread_over_all_ports(tmp_path: Path) -> None:
    async with _counting_server() as (one, of_one), _counting_server() as (other, of_other):
        result = await _load(tmp_path, one, backlog=1000, more_ports=[other], connections=4)
    assert result.statuses == {"202": 200}
    assert sum(of_one) + sum(of_other) == 200
    assert min(sum(of_one), sum(of_other)) > 0


@asynccontextmanager
async def _counting_server() -> AsyncIterator[tuple[int, list[int]]]:
    """A server that answers 202, its port, and what grows by one for each request."""
    answered: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
                answered.append(1)
                content = b'{"batch_id":"00000000-0000-0000-0000-000000000000"}'
                writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: %d\r\n\r\n%s" % (len(content), content))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], answered


@pytest.mark.slow
def test_bench_looks_at_plans_and_at_several_processes(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "scripts.dev.bench", "plans", "scale", "storage", "--quick", "--json"]
    subprocess.run([*words, tmp_path / "out.json"], cwd=ROOT, env=os.environ | {"CI": "true"}, check=True, timeout=300)
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["texts"].keys() == {"plans", "scale", "storage", "billion"}
    rows = {row["name"]: row for row in content["rows"]}
    assert rows["plans on the way of a lead, 20,000 actions stored"]["check"] == "too little is stored to judge"
    for workers in (1, 2, 4):
        assert rows[f"scale: {workers} worker processes, 2 API processes"]["notes"] == ["0 leads decided twice"]
    assert rows["a million actions: storage"]["values"][0] > 100


@pytest.mark.slow
def test_bench_measures_and_checks_a_row(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "scripts.dev.bench", "throughput", "monthly-run", "--quick", "--json"]
    subprocess.run([*words, tmp_path / "out.json"], cwd=ROOT, env=os.environ | {"CI": "true"}, check=True, timeout=300)
    rows = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert rows[0]["check"] == "all 300 customers and 30 products"
    assert rows[0]["ratios"].keys() == {"COPY", "naive control"}
    assert rows[1]["notes"] == ["not built yet"]


@pytest.mark.slow
def test_bench_asks_for_every_page(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "scripts.dev.bench", "pages", "--quick", "--json"]
    subprocess.run([*words, tmp_path / "out.json"], cwd=ROOT, env=os.environ | {"CI": "true"}, check=True, timeout=300)
    content = json.loads((tmp_path / "out.json").read_text())
    rows = {row["name"].rpartition(": ")[2]: row for row in content["rows"]}
    assert rows["largest, compressed"]["meets"] is True
    assert "pages answered" in rows["largest, compressed"]["check"]
    assert content["texts"].keys() == {"pages"}


async def test_partners_that_are_copied_are_like_those_of_the_api(settings: Settings, engine: AsyncEngine) -> None:
    await create(World(partners=12, products_per_partner=2, customers=1), settings)
    async with transaction(engine, readonly=True) as connection:
        rows = await connection.fetch(
            """
            SELECT external_id, to_jsonb(terms) - 'partner_id' AS terms, to_jsonb(zones) - 'partner_id' AS zones, (
                SELECT count(*) FROM products WHERE products.partner_id = partners.id
            ) AS products
            FROM partners JOIN partner_terms AS terms ON terms.partner_id = partners.id
            JOIN partner_time_zones AS zones ON zones.partner_id = partners.id
            """
        )
    assert {row["external_id"] for row in rows} == {World().partner(number) for number in range(12)}
    assert len({(str(row["terms"]), str(row["zones"]), row["products"]) for row in rows}) == 1
