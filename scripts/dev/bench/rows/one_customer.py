"""One customer with very many actions in shuffled order, beside the same number of leads of many customers."""

from scripts.dev.bench.bench import Bench
from scripts.dev.bench.figures import Figure
from scripts.dev.bench.ingest import ingest
from scripts.dev.bench.traffic import Traffic
from scripts.dev.bench.world import World

_BATCH = 500
_TYPES = 400  # 3,600 duplicate keys with three levels and three products: winners, displaced winners and duplicates


def one_customer(bench: Bench) -> list[Figure]:
    """Actions a second of the one, as a share of those of the many."""
    actions = bench.sizes.one_customer_actions
    figure = Figure(
        f"one customer, {actions:,} actions, shuffled", "≥ 0.5 × many customers", "actions/s", [], dropped=0
    )
    figure.yardsticks = {"many customers, shuffled": []}
    for repeat in range(bench.repeats):
        for name, world in (("one", World(1, 3, 1)), ("many", World(customers=bench.sizes.customers))):
            bench.say(f"one-customer: {actions:,} actions of {world.customers:,} customers")
            traffic = Traffic(f"{name}{repeat}", world, actions // 2, _BATCH, types=_TYPES, shuffled=True)
            database = bench.servers.database(world)
            done = ingest(bench, database, traffic)
            bench.servers.drop(database)
            figure.notes.append(f"{name}: {done.costs}")
            if name == "one":
                figure.values.append(2 * done.leads_per_s)
                figure.check = done.check
                figure.dropped = (figure.dropped or 0) + done.load.dropped * _BATCH
            else:
                figure.yardsticks["many customers, shuffled"].append(2 * done.leads_per_s)
    figure.meets = figure.ratio("many customers, shuffled") >= 0.5
    return [figure]
