"""The monthly run of very many small partners, from the request to the last bill; once undisturbed and once killed."""

import asyncio
import time
from contextlib import AbstractContextManager

import asyncpg
import httpx

from scripts.dev.bench.bench import Bench
from scripts.dev.bench.check import WrongTotals
from scripts.dev.bench.figures import Figure
from scripts.dev.bench.processes import Leadger, environment, everything, log_file
from scripts.dev.bench.servers import Database, running
from scripts.dev.bench.stored import Fill, fill
from scripts.dev.bench.world import World
from scripts.local.launcher import commands
from scripts.local.processes.process import Process

_PERIOD = 202403
_ACTIONS = 100
_TYPES = 80  # of 100 actions 50 are billed, 30 are capped and 20 are duplicates
_BILLED = 100
_TARGET_S = 60.0
_MOST_LONGER = 1.1
_LONGEST_S = 600.0


def monthly_run(bench: Bench) -> list[Figure]:
    """Seconds for all partners, each with one customer and a bill of 100.00; files of reports follow by task."""
    partners = bench.sizes.run_partners
    filled = bench.servers.database(World(partners, 1, partners))
    bench.say(f"monthly-run: filling {partners:,} partners with {_ACTIONS} actions each")
    asyncio.run(_fill(filled.url))
    name = f"monthly run, {partners:,} partners of {_ACTIONS} actions"
    whole = Figure(name, f"≤ {_TARGET_S:.0f} s", "s", [])
    killed = Figure(f"{name}: killed half way", "≤ 1.1 × undisturbed", "s", [], yardsticks={"undisturbed": []})
    for _ in range(bench.repeats):
        whole.values.append(_run(bench, filled, partners, kills=False))
        killed.yardsticks["undisturbed"].append(whole.values[-1])
        killed.values.append(_run(bench, filled, partners, kills=True))
    bench.servers.drop(filled)
    whole.meets = max(whole.values) <= _TARGET_S
    killed.meets = killed.ratio("undisturbed") <= _MOST_LONGER
    whole.check = killed.check = "every bill and their sum"
    return [whole, killed]


async def _fill(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await fill(connection, Fill(_ACTIONS, (_PERIOD,), _TYPES), 1)
    finally:
        await connection.close()


def _run(bench: Bench, filled: Database, partners: int, *, kills: bool) -> float:
    database = bench.servers.copy(filled)
    with everything(bench.servers, database, bench.workers) as leadger, leadger.client() as client:
        started = time.perf_counter()
        answer = client.post("/api/billing-scheduler/process-monthly-billing", json={"period": "2024-03"})
        url = f"/api/tasks/{answer.raise_for_status().json()['task_id']}"
        if kills:
            _wait(client, url, started, partners // 2)
            with _restarted(bench, leadger):
                _wait(client, url, started, None)
                taken_s = time.perf_counter() - started
        else:
            _wait(client, url, started, None)
            taken_s = time.perf_counter() - started
        bench.say(f"monthly-run: {partners:,} partners in {taken_s:.1f} s{', killed half way' if kills else ''}")
        asyncio.run(_check(database.url, partners))
    bench.servers.drop(database)
    return taken_s


def _restarted(bench: Bench, leadger: Leadger) -> AbstractContextManager[Process]:
    """The background workers, killed with all their children and started again."""
    leadger.processes["background"].kill()
    command = commands.background(environment(bench.servers, leadger.database))
    return running(command, lambda: True, log_file(bench.servers, "background-again"))


def _wait(client: httpx.Client, url: str, started: float, partners: int | None) -> None:
    """Until so many partners are billed, or the run is over."""
    while True:
        task = client.get(url).raise_for_status().json()
        if task["state"] == "done" or (partners is not None and task["progress"]["done"] >= partners):
            return
        if task["state"] == "failed" or time.perf_counter() - started > _LONGEST_S:
            raise WrongTotals(f"the run says {task}")
        time.sleep(0.05)


async def _check(url: str, partners: int) -> None:
    connection = await asyncpg.connect(url)
    try:
        row = await connection.fetchrow(
            """
            SELECT count(*), count(DISTINCT partner_id), coalesce(sum(net_minor), 0)::bigint FROM bills
            """
        )
    finally:
        await connection.close()
    assert row is not None
    if tuple(row) != (partners, partners, partners * _BILLED * 100):
        raise WrongTotals(f"{row[0]} bills of {row[1]} partners with {row[2]} minor units, wanted {partners}")
