"""More processes are a matter of configuration: no work is done twice, and of several beats one works."""

import asyncio
from dataclasses import dataclass

import asyncpg

from scripts.dev.bench import ledger
from scripts.dev.bench.beats import active_beats, first_sweep_s
from scripts.dev.bench.bench import Bench
from scripts.dev.bench.figures import Figure
from scripts.dev.bench.fleet import Fleet, fleet
from scripts.dev.bench.page import markdown
from scripts.dev.bench.rows.throughput import BATCH
from scripts.dev.bench.servers import Database
from scripts.dev.bench.traffic import Traffic
from scripts.dev.bench.world import World

_WORKERS = (1, 2, 4)
_APIS = 2
_BEATS = 2
_INTERVALS = 3
_LONGEST_SILENCE_S = 60.0


@dataclass(frozen=True)
class _Run:
    """One load on one fleet."""

    leads_per_s: float
    dropped: int
    decided_twice: int
    deadlocks: int
    check: str


def scale(bench: Bench) -> list[Figure]:
    """One, two and four worker processes behind two APIs, and two beats, of which one is killed at the end."""
    runs: dict[int, list[_Run]] = {workers: [] for workers in _WORKERS}
    at_work, taken_over_s = 0, 0.0
    for repeat in range(bench.repeats):
        for workers in _WORKERS:
            database = bench.servers.database(World(customers=bench.sizes.customers))
            with fleet(bench.servers, database, apis=_APIS, workers=workers, beats=_BEATS) as running:
                runs[workers].append(
                    _run(bench, running, Traffic(f"w{repeat}", database.world, bench.sizes.leads, BATCH))
                )
                if repeat == 0 and workers == _WORKERS[-1]:
                    at_work, taken_over_s = _beats(bench, running)
            bench.servers.drop(database)
    bench.texts["scale"] = _text(runs, at_work, taken_over_s)
    beats = Figure(f"scale: beats at work, of {_BEATS}", "1", "", [at_work], meets=at_work == 1)
    beats.notes = [f"the other one took over {taken_over_s:.1f} s after the active one was killed"]
    return [*(_figure(workers, each, runs[1]) for workers, each in runs.items()), beats]


def _run(bench: Bench, running: Fleet, traffic: Traffic) -> _Run:
    bench.say(f"scale: {len(running.workers)} worker processes, {traffic.leads:,} leads")
    database = running.leadger.database
    offered = bench.sizes.offered_leads_per_s
    result = bench.send(running.leadger.port, database.key, traffic, offered, more_ports=running.more_ports)
    end = bench.drained(running.leadger)
    check = str(bench.checked(running.leadger, [(traffic, result)]))
    leads = len(result.acknowledged) * BATCH
    counted, deadlocks = asyncio.run(_counted(database))
    return _Run(leads / (end - result.started_at), result.dropped * BATCH, counted - leads, deadlocks, check)


def _beats(bench: Bench, running: Fleet) -> tuple[int, float]:
    servers = bench.servers
    interval_s = servers.settings(running.leadger.database.url).sweep_interval_s
    active = active_beats(servers.redis_url, running.beats, _INTERVALS * interval_s)
    bench.say(f"scale: {len(active)} of {_BEATS} beats work")
    for place in list(active)[:1]:
        running.beats[place].kill()
    left = [beat for place, beat in enumerate(running.beats) if place not in list(active)[:1]]
    return len(active), first_sweep_s(servers.redis_url, left, _LONGEST_SILENCE_S)


async def _counted(database: Database) -> tuple[int, int]:
    """Decisions that were committed, and deadlocks on the way."""
    connection = await asyncpg.connect(database.url)
    try:
        return await ledger.decisions(connection), await ledger.deadlocks(connection)
    finally:
        await connection.close()


def _figure(workers: int, runs: list[_Run], alone: list[_Run]) -> Figure:
    figure = Figure(
        f"scale: {workers} worker processes, {_APIS} API processes",
        "nothing decided twice",
        "leads/s",
        [run.leads_per_s for run in runs],
        meets=not any(run.decided_twice for run in runs),
    )
    if workers > 1:
        figure.yardsticks = {"1 worker process": [run.leads_per_s for run in alone]}
    figure.dropped, figure.check = sum(run.dropped for run in runs), runs[-1].check
    figure.notes = [f"{sum(run.decided_twice for run in runs)} leads decided twice"]
    return figure


def _text(runs: dict[int, list[_Run]], at_work: int, taken_over_s: float) -> str:
    rows = [["worker processes", "leads/s", "leads decided twice", "deadlocks", "oracle"]]
    for workers, each in runs.items():
        median = sorted(run.leads_per_s for run in each)[len(each) // 2]
        twice, deadlocks = sum(run.decided_twice for run in each), sum(run.deadlocks for run in each)
        rows.append([f"{workers}", f"{median:,.0f}", f"{twice}", f"{deadlocks}", each[-1].check])
    return (
        f"{_APIS} API processes, {_BEATS} beats, one child to a worker, all on one machine.\n\n{markdown(rows)}\n\n"
        f"Beats at work, of {_BEATS}: {at_work}; the other one took over {taken_over_s:.1f} s after one was killed."
    )
