"""The report of one partner and month with very many actions: read live, rebuilt, streamed as CSV, written as files."""

import asyncio
import time
from typing import Any

import asyncpg
import httpx

from scripts.dev.bench.bench import Bench, percentile
from scripts.dev.bench.check import WrongTotals
from scripts.dev.bench.figures import Figure
from scripts.dev.bench.processes import Leadger, everything
from scripts.dev.bench.stored import Fill, fill
from scripts.dev.bench.usage import peak_mb
from scripts.dev.bench.world import World

_PERIOD = 202403
ACTIONS_PER_CUSTOMER = 100
_TYPES = 80  # of 100 actions 50 are billed, 30 are capped and 20 are duplicates
_READS = 100
_LONGEST_REBUILD_S = 300.0
_FLAT_MB = 20
_SPOILED = "1 verdict in 100 spoiled, and no version on record"
_SPOIL = (
    # The first action of each customer. As its counters are right, they must be so again afterwards.
    "UPDATE actions SET outcome = 'capped', billed_minor = 0 WHERE occurred_at = '2024-03-01 00:00Z'",
    # Corrected verdicts are those of the version on record, so without this there would be nothing to write.
    "DELETE FROM billing_report_files",
    "DELETE FROM billing_reports",
)


def report(bench: Bench) -> list[Figure]:
    """One partner, one month, 100 actions to a customer; the totals are known in closed form."""
    customers = max(bench.sizes.report_actions // ACTIONS_PER_CUSTOMER, 1)
    actions = customers * ACTIONS_PER_CUSTOMER
    database = bench.servers.database(World(1, 3, customers))
    bench.say(f"report: filling one month with {actions:,} actions")
    fill_month(database.url)
    name = f"report of one partner-month, {actions:,} actions"
    read = Figure(f"{name}: read, p99", "≤ 50 ms", "ms", [])
    rebuilt = Figure(f"{name}: rebuild", "≤ 10 s", "s", [], notes=["it finds nothing to correct and writes no file"])
    corrected = Figure(f"{name}: rebuild that corrects, with its files", "–", "s", [], notes=[_SPOILED])
    streamed = Figure(f"{name}: CSV, rows", "streamed", "actions/s", [])
    grown = Figure(f"{name}: CSV, growth of the API process", f"flat (≤ {_FLAT_MB} MB)", "MB", [])
    with everything(bench.servers, database, bench.workers) as leadger, leadger.client() as client:
        _rebuild(bench, client, customers, 0)  # makes the checksums, which the filling leaves at 0, and a version
        for _ in range(bench.repeats):
            report_id, read_s = _read(client, customers)
            read.values.append(percentile(read_s, 0.99) * 1000)
            rebuilt.values.append(_rebuild(bench, client, customers, 0))
            rows_per_s, grown_mb = _stream(leadger, client, report_id, actions)
            streamed.values.append(rows_per_s)
            grown.values.append(grown_mb)
            bench.servers.execute(*_SPOIL, database_url=database.url)
            corrected.values.append(_rebuild(bench, client, customers, customers))
            _check_version(client, report_id, customers)
    bench.servers.drop(database)
    read.meets, rebuilt.meets = max(read.values) <= 50, max(rebuilt.values) <= 10
    grown.meets = max(grown.values) <= _FLAT_MB
    figures = [read, rebuilt, corrected, streamed, grown]
    for figure in figures:
        figure.check = "closed form of the filled rows"
    return figures


def fill_month(url: str) -> None:
    """Give every customer the same actions in March 2024: 100.00 billed, 60.00 capped, 40.00 duplicates."""
    asyncio.run(_fill(url))


async def _fill(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await fill(connection, Fill(ACTIONS_PER_CUSTOMER, (_PERIOD,), _TYPES), 3)
    finally:
        await connection.close()


def _read(client: httpx.Client, customers: int) -> tuple[str, list[float]]:
    taken_s = []
    content: dict[str, Any] = {}
    for _ in range(_READS):
        started = time.perf_counter()
        answer = client.get("/billing/reports", params={"partner": "partner-0000", "period": "2024-03"})
        taken_s.append(time.perf_counter() - started)
        content = answer.raise_for_status().json()["items"][0]
    _check_totals(content["totals"], customers)
    return content["report_id"], taken_s


def _check_totals(totals: dict[str, Any], customers: int) -> None:
    wanted = {
        "leads": 50 * customers,
        "actions": 100 * customers,
        "gross": f"{200 * customers}.00",
        "billed": f"{100 * customers}.00",
        "duplicate_savings": f"{40 * customers}.00",
        "cap_savings": f"{60 * customers}.00",
    }
    have = {name: totals[name] for name in wanted}
    if have != wanted:
        raise WrongTotals(f"the report says {have}, wanted {wanted}")


def _rebuild(bench: Bench, client: httpx.Client, customers: int, spoiled: int) -> float:
    started = time.perf_counter()
    answer = client.post("/billing/reports/rebuild", json={"partner": "partner-0000", "period": "2024-03"})
    url = answer.raise_for_status().json()["status_url"]
    while (task := client.get(url).raise_for_status().json())["state"] not in ("done", "failed"):
        if time.perf_counter() - started > _LONGEST_REBUILD_S:
            raise TimeoutError(f"the rebuild took more than {_LONGEST_REBUILD_S:.0f} s")
        time.sleep(0.05)
    taken_s = time.perf_counter() - started
    result = task["result"]
    if task["state"] == "failed" or result["verdicts_corrected"] != spoiled or result["customers"] != customers:
        raise WrongTotals(f"the rebuild says {task}")
    bench.say(f"report: rebuilt {result['actions']:,} actions in {taken_s:.1f} s, {spoiled:,} of them corrected")
    return taken_s


def _check_version(client: httpx.Client, report_id: str, customers: int) -> None:
    """The version is there with its files, and says what was right before."""
    (version,) = client.get(f"/billing/reports/{report_id}/versions").raise_for_status().json()["items"]
    _check_totals(version["totals"], customers)
    if [file["format"] for file in version["files"]] != ["csv", "md"]:
        raise WrongTotals(f"the version has these files: {version['files']}")


def _stream(leadger: Leadger, client: httpx.Client, report_id: str, actions: int) -> tuple[float, float]:
    api = leadger.processes["api"].pid
    before_mb = max(peak_mb(api).values())
    started = time.perf_counter()
    lines = 0
    with client.stream("GET", f"/billing/reports/{report_id}", params={"format": "csv"}) as answer:
        answer.raise_for_status()
        for block in answer.iter_bytes():
            lines += block.count(b"\n")
    taken_s = time.perf_counter() - started
    if lines < actions:
        raise WrongTotals(f"the CSV has {lines} lines for {actions} actions")
    return actions / taken_s, max(peak_mb(api).values()) - before_mb
