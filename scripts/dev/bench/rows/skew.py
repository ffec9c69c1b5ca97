"""Customers by Zipf's law beside customers drawn evenly, the same number of leads, in the same run."""

from scripts.dev.bench.bench import Bench
from scripts.dev.bench.figures import Figure
from scripts.dev.bench.ingest import Ingested, ingest
from scripts.dev.bench.rows.throughput import BATCH
from scripts.dev.bench.traffic import Traffic
from scripts.dev.bench.world import World


def skew(bench: Bench) -> list[Figure]:
    """The rate with Zipf 2, as a share of the even rate; no deadlock may surface."""
    figure = Figure("skewed customers (Zipf 2)", "≥ 0.8 × even, no deadlock", "leads/s", [], dropped=0)
    figure.yardsticks = {"even": []}
    deadlocks = 0
    for repeat in range(bench.repeats):
        even, skewed = (at_skew(bench, each, bench.sizes.leads, f"s{repeat}") for each in (0.0, 2.0))
        figure.values.append(skewed.leads_per_s)
        figure.yardsticks["even"].append(even.leads_per_s)
        figure.dropped = (figure.dropped or 0) + skewed.load.dropped * BATCH
        figure.check = skewed.check
        deadlocks += even.deadlocks + skewed.deadlocks
        figure.notes += [f"even: {even.costs}", f"skewed: {skewed.costs}"]
    figure.meets = figure.ratio("even") >= 0.8 and not deadlocks
    figure.notes.append(f"{deadlocks} deadlocks")
    return [figure]


def at_skew(bench: Bench, exponent: float, leads: int, name: str) -> Ingested:
    """One load with the given exponent of Zipf's law, on a fresh database."""
    bench.say(f"skew: Zipf {exponent:g}, {leads:,} leads")
    traffic = Traffic(f"{name}-{exponent:g}", World(customers=bench.sizes.customers), leads, BATCH, skew=exponent)
    database = bench.servers.database(traffic.world)
    done = ingest(bench, database, traffic)
    bench.servers.drop(database)
    return done
