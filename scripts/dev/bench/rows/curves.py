"""The curves: how the rates change with the batch size, with what is stored, and with the skew of the customers."""

from dataclasses import dataclass

from scripts.dev.bench.bench import Bench
from scripts.dev.bench.processes import api, plain_server, workers
from scripts.dev.bench.rows.accept import Loads, capacity
from scripts.dev.bench.rows.large_tables import at_stored
from scripts.dev.bench.rows.skew import at_skew
from scripts.dev.bench.traffic import Traffic
from scripts.dev.bench.world import World

_BATCHES = (1, 10, 100, 500, 1_000, 5_000)
_EXPONENTS = (0.0, 0.5, 1.0, 1.5, 2.0)
_LEAST_REQUESTS = 40


@dataclass(frozen=True)
class Curve:
    """Points (x, y) per series; `log` spaces the x axis by powers of ten."""

    name: str
    title: str
    x: str
    y: str
    series: dict[str, list[tuple[float, float]]]
    log: bool
    check: str


def curve_batch(bench: Bench) -> Curve:
    """Accepted leads a second by leads per request, ours and a bare route's."""
    servers = bench.servers
    database = servers.database(World(customers=bench.sizes.customers))
    ours: list[tuple[float, float]] = []
    bare: list[tuple[float, float]] = []
    loads: Loads = []
    with plain_server(servers, "scripts.dev.bench.bare:app") as port, api(servers, database) as leadger:
        for batch in _BATCHES:
            bench.say(f"curve: {batch:,} leads a request")
            most = bench.sizes.singles if batch == 1 else bench.sizes.curve_leads
            traffic = Traffic(f"b{batch}", database.world, max(most, batch * min(_LEAST_REQUESTS, most // 100)), batch)
            bare.append((batch, capacity(bench, port, "", traffic, []).rate * batch))
            ours.append((batch, capacity(bench, leadger.port, database.key, traffic, loads).rate * batch))
        with workers(servers, leadger, bench.workers):
            bench.drained(leadger)
        check = str(bench.checked(leadger, loads))
    servers.drop(database)
    series = {"Leadger": ours, "bare route": bare}
    return Curve("batch-size", "Accepted leads by batch size", "leads a request", "leads/s", series, True, check)


def curve_stored(bench: Bench) -> Curve:
    """Billed leads a second by the number of actions that are stored already."""
    points = []
    check = ""
    for stored in bench.sizes.curve_stored:
        done = at_stored(bench, stored, bench.sizes.curve_leads, 1, "c")[0]
        points.append((float(stored), done.leads_per_s))
        check = done.check
    title = "Billed leads by stored actions"
    return Curve("stored-rows", title, "actions stored", "leads/s", {"Leadger": points}, True, check)


def curve_skew(bench: Bench) -> Curve:
    """Billed leads a second by the exponent of Zipf's law."""
    points = []
    check = ""
    for exponent in _EXPONENTS:
        done = at_skew(bench, exponent, bench.sizes.curve_leads, "c")
        points.append((exponent, done.leads_per_s))
        check = done.check
    title = "Billed leads by skew of the customers"
    return Curve("skew", title, "exponent of Zipf's law", "leads/s", {"Leadger": points}, False, check)
