"""Many partners' months billed and issued by one process, beside nothing else; and what the files of bills take."""

import asyncio
import os
import resource
import subprocess
import sys
import time

import asyncpg

from db.bills import records
from db.bills.files import stored
from db.bills.files.formats import BillFormat
from db.core.engine import transaction
from db.core.unit_of_work import publish_nothing
from scripts.dev.bench.bench import Bench
from scripts.dev.bench.check import WrongTotals
from scripts.dev.bench.figures import Figure
from scripts.dev.bench.processes import environment
from scripts.dev.bench.rows.partner_month import HONEST
from scripts.dev.bench.servers import Database
from scripts.dev.bench.stored import Fill, fill
from scripts.dev.bench.usage import cpu_s, of_folder, used_s
from scripts.dev.bench.world import World
from worker.runtime import create_runtime
from worker.task_kinds import RUNNER

_PERIOD = 202403
_ACTIONS = 100
_TYPES = 80  # of 100 actions 50 are billed, 30 are capped and 20 are duplicates
_NET_MINOR = 10_000
_TARGET_S = 60.0
_PDFS_PER_S = 50
_LONGEST_S = 600.0
_RUN = """
import asyncio
from worker.billing_scheduler import process_monthly_billing
asyncio.run(process_monthly_billing(period="2024-03"))
"""
_ISSUED_BY_ITSELF = """
INSERT INTO billing_terms (partner_id, from_period, approvals, auto_issue, tax_category, tax_rate_bp, address)
SELECT id, 0, '[]', true, 'S', 2000, 'High Street 1' FROM partners
"""
_SELLER = """
INSERT INTO seller (name, address, tax_id, iban) VALUES ('Seller', 'Low Street 2', 'DE1', 'DE02120300000000202051')
"""


def bills_issued(bench: Bench) -> list[Figure]:
    """Seconds from the begin of a run to its last issued bill of 100.00 net; nobody makes the files meanwhile."""
    partners = bench.sizes.run_partners
    filled = bench.servers.database(World(partners, 1, partners))
    bench.say(f"bills-issued: filling {partners:,} partners with {_ACTIONS} actions each")
    asyncio.run(_fill(filled.url))
    name = f"{partners:,} partners of {_ACTIONS} actions, bills made, submitted and issued"
    taken = Figure(name, f"≤ {_TARGET_S:.0f} s", "s", [])
    spent = Figure(f"{name}: CPU time, Postgres included", "–", "ms/bill", [])
    for _ in range(bench.repeats):
        database = bench.servers.copy(filled)
        before = _cpu(bench)
        _run(bench, database)
        spent.values.append(used_s(before, _cpu(bench)) * 1000 / partners)
        taken.values.append(asyncio.run(_taken_s(database.url, partners)))
        bench.say(f"bills-issued: {partners:,} bills in {taken.values[-1]:.1f} s")
        bench.servers.drop(database)
    bench.servers.drop(filled)
    taken.meets = max(taken.values) <= _TARGET_S
    return _checked(taken, spent)


def bill_files(bench: Bench) -> list[Figure]:
    """Files of issued bills a second, made by one process."""
    bills = bench.sizes.bill_files
    database = bench.servers.database(World(bills, 1, bills))
    asyncio.run(_fill(database.url))
    _run(bench, database)
    asyncio.run(_taken_s(database.url, bills))
    pdfs = Figure("PDFs of bills, one process", f"≥ {_PDFS_PER_S} a second", "a second", [])
    spent = Figure("PDFs of bills: CPU time", "–", "ms/PDF", [])
    files = Figure("PDF, CSV, JSON and XLSX of bills by their task, one process", "–", "bills a second", [])
    for _ in range(bench.repeats):
        measured = asyncio.run(_make_files(bench, database))
        for figure, value in zip((pdfs, spent, files), measured, strict=True):
            figure.values.append(value)
    bench.servers.drop(database)
    pdfs.meets = min(pdfs.values) >= _PDFS_PER_S
    return _checked(pdfs, spent, files)


def _run(bench: Bench, database: Database) -> None:
    """A run in a process of its own, without workers."""
    env = os.environ | environment(bench.servers, database)
    words = [sys.executable, "-c", _RUN]
    subprocess.run(words, check=True, env=env, timeout=_LONGEST_S, stdout=subprocess.DEVNULL)


def _cpu(bench: Bench) -> dict[int, float]:
    """Of Postgres, and of the processes that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return cpu_s(of_folder(bench.servers.postgres_folder)) | {0: ended.ru_utime + ended.ru_stime}


async def _fill(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await fill(connection, Fill(_ACTIONS, (_PERIOD,), _TYPES), 1)
        await connection.execute(_ISSUED_BY_ITSELF)
        await connection.execute(_SELLER)
        await connection.execute(HONEST)
        await connection.execute("VACUUM ANALYZE leads, billing_terms")
    finally:
        await connection.close()


async def _taken_s(url: str, partners: int) -> float:
    """How long the run took; WrongTotals unless each partner has its one bill, numbered and booked."""
    connection = await asyncpg.connect(url)
    try:
        row = await connection.fetchrow(
            """
            SELECT count(*), count(DISTINCT bills.partner_id), count(DISTINCT number), count(DISTINCT account.id),
                coalesce(sum(net_minor), 0)::bigint, coalesce(sum(rest_minor), 0)::bigint
            FROM bills LEFT JOIN account_entries AS account ON account.id = bills.id
                AND amount_minor = net_minor + tax_minor
            LEFT JOIN account_rests ON entry_id = bills.id
            WHERE bills.state = 'issued' AND bills.number LIKE '%-0001' AND seal IS NOT NULL
            """
        )
        taken_s: float = await connection.fetchval(
            "SELECT extract(epoch FROM completed_at - started_at)::float8 FROM billing_runs"
        )
    finally:
        await connection.close()
    assert row is not None
    wanted = (*[partners] * 4, partners * _NET_MINOR, partners * _NET_MINOR * 6 // 5)
    if tuple(row) != wanted:
        raise WrongTotals(f"bills, partners, numbers, entries, net and open are {tuple(row)}, wanted {wanted}")
    return taken_s


async def _make_files(bench: Bench, database: Database) -> tuple[float, float, float]:
    """PDFs a second of all bills and their CPU time in ms; bills a second by tasks that make all files, of a share."""
    runtime = create_runtime(bench.servers.settings(database.url), "leadger-bench", publish_nothing)
    try:
        async with transaction(runtime.engine, readonly=True) as connection:
            tasks = await connection.fetch(
                """
                SELECT id, (arguments ->> 'bill_id')::uuid AS bill_id, state FROM tasks WHERE kind = $1 ORDER BY id
                """,
                stored.MAKE,
            )
            bills = [bill for task in tasks if (bill := await records.read(connection, task["bill_id"]))]
        started, used_s = time.perf_counter(), time.process_time()
        for bill in bills:
            await stored.make(runtime.settings, bill, [BillFormat.PDF])
        pdfs = len(bills) / (time.perf_counter() - started)
        cpu_ms = (time.process_time() - used_s) * 1000 / len(bills)
        waiting = [task["id"] for task in tasks if task["state"] == "waiting"][: len(tasks) // bench.repeats]
        started = time.perf_counter()
        done = sum([await RUNNER.run(runtime, task_id) for task_id in waiting])
        if done < len(waiting):
            raise WrongTotals(f"{len(waiting) - done} tasks did not make their files")
        return pdfs, cpu_ms, done / (time.perf_counter() - started)
    finally:
        await runtime.engine.dispose()


def _checked(*figures: Figure) -> list[Figure]:
    for figure in figures:
        figure.check = "closed form of the filled rows"
    return [*figures]
