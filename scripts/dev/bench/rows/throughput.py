"""From accepted to billed with everything running, beside COPY of the same rows and beside the naive control."""

from dataclasses import replace

from scripts.dev.bench.bench import Bench
from scripts.dev.bench.copying import copy_s
from scripts.dev.bench.figures import Figure
from scripts.dev.bench.ingest import Ingested, ingest
from scripts.dev.bench.naive import control
from scripts.dev.bench.traffic import Traffic
from scripts.dev.bench.world import World

BATCH = 100
_MOST_MB = 250
_KEPT_PACE = 0.9


def throughput(bench: Bench) -> list[Figure]:
    """Leads a second of two actions each, in requests of 100, from the first arrival to the last commit."""
    figure = Figure("accepted → billed", "≥ 8,000 leads/s", "leads/s", [])
    figure.yardsticks = {"COPY": [], "naive control": []}
    figure.dropped = 0
    for traffic in _traffics(bench):
        bench.say(f"throughput: {traffic.leads:,} leads")
        database = bench.servers.database(traffic.world)
        done = ingest(bench, database, traffic)
        copied_s = copy_s(bench.servers, database)
        bench.servers.drop(database)
        bench.say("throughput: the naive control")
        naive = control.leads_per_s(bench, replace(traffic, leads=bench.sizes.naive_leads))
        figure.values.append(done.leads_per_s)
        figure.yardsticks["COPY"].append(len(done.load.acknowledged) * BATCH / copied_s)
        figure.yardsticks["naive control"].append(naive)
        figure.dropped += done.load.dropped * BATCH
        figure.check = done.check
        figure.notes.append(done.costs)
    figure.meets = min(figure.values) >= 8_000
    offered = bench.sizes.offered_leads_per_s
    figure.notes.append(f"{bench.workers} worker processes; offered {offered:,.0f} leads/s")
    if max(figure.values) > _KEPT_PACE * offered:
        figure.notes.append("the engine kept pace with the load: offer more to find its limit")
    return [figure]


def memory(bench: Bench) -> list[Figure]:
    """The most memory that a process of API or worker held under the same load."""
    loads = [_once(bench, traffic) for traffic in _traffics(bench)]
    figures = []
    for name in ("api", "worker"):
        figure = Figure(
            f"memory: largest {name} process", f"≤ {_MOST_MB} MB", "MB", [each.peak_mb[name] for each in loads]
        )
        figure.check, figure.dropped = loads[-1].check, sum(each.load.dropped for each in loads) * BATCH
        figure.meets = max(figure.values) <= _MOST_MB
        figures.append(figure)
    return figures


def _once(bench: Bench, traffic: Traffic) -> Ingested:
    bench.say(f"memory: {traffic.leads:,} leads")
    database = bench.servers.database(traffic.world)
    done = ingest(bench, database, traffic)
    bench.servers.drop(database)
    return done


def _traffics(bench: Bench) -> list[Traffic]:
    world = World(customers=bench.sizes.customers)
    return [Traffic(f"t{repeat}", world, bench.sizes.leads, BATCH) for repeat in range(bench.repeats)]
