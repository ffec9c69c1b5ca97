"""Accepting leads durably, one per request and in batches, beside a bare route on the same server in the same run.

Nothing decides the leads meanwhile: the bare route has no workers beside it either. They are decided afterwards, and
the oracle checks them.
"""

from dataclasses import dataclass

from scripts.dev.bench.bench import Bench, percentile
from scripts.dev.bench.figures import Figure
from scripts.dev.bench.load import Result
from scripts.dev.bench.processes import Leadger, api, plain_server, workers
from scripts.dev.bench.traffic import Traffic
from scripts.dev.bench.world import World

_OVER = 1.4
_KEPT_PACE = 0.95
_MOST_ATTEMPTS = 4
_BACKLOG = 64
_SHARE_FOR_LATENCY = 0.7
_PROBE_SHARE = 5

Loads = list[tuple[Traffic, Result]]


@dataclass(frozen=True)
class _Rates:
    """Leads a second, ours and the yardsticks', and the p99 of ours in milliseconds at 70 % of its rate."""

    leadger: float
    bare: float
    typed: float
    p99_ms: float
    dropped: int


def accept_single(bench: Bench) -> list[Figure]:
    """One lead per request."""
    rates, check = _measure(bench, bench.sizes.singles, 1, with_latency=True)
    yardsticks = {"bare route": [each.bare for each in rates], "pydantic route": [each.typed for each in rates]}
    rate = Figure("accept, single lead per request", "≥ 0.8 × bare route", "leads/s", [each.leadger for each in rates])
    rate.yardsticks, rate.check, rate.dropped = yardsticks, check, sum(each.dropped for each in rates)
    rate.meets = rate.ratio("bare route") >= 0.8
    p99 = Figure("accept, single: p99 at 70 % of that rate", "≤ 50 ms", "ms", [each.p99_ms for each in rates])
    p99.check, p99.meets = check, max(p99.values) <= 50
    return [rate, p99]


def accept_batch(bench: Bench) -> list[Figure]:
    """500 leads per request."""
    rates, check = _measure(bench, bench.sizes.batched_leads, 500, with_latency=False)
    figure = Figure("accept, batches of 500", "≥ 40,000 leads/s", "leads/s", [each.leadger for each in rates])
    figure.yardsticks = {"bare route": [each.bare for each in rates], "pydantic route": [each.typed for each in rates]}
    figure.check, figure.dropped = check, sum(each.dropped for each in rates)
    figure.meets = min(figure.values) >= 40_000
    return [figure]


def _measure(bench: Bench, leads: int, batch: int, *, with_latency: bool) -> tuple[list[_Rates], str]:
    servers = bench.servers
    database = servers.database(World(customers=bench.sizes.customers))
    loads: Loads = []
    rates = []
    with (
        plain_server(servers, "scripts.dev.bench.bare:app") as bare_port,
        plain_server(servers, "scripts.dev.bench.bare:typed_app") as typed_port,
        api(servers, database) as leadger,
    ):
        for repeat in range(bench.repeats):
            traffic = Traffic(f"r{repeat}", database.world, leads, batch)
            bench.say(f"accept: repeat {repeat + 1} of {bench.repeats}, {leads:,} leads, {batch} a request")
            bare = capacity(bench, bare_port, "", traffic, [])
            ours = capacity(bench, leadger.port, database.key, traffic, loads)
            typed = capacity(bench, typed_port, "", traffic, [])
            p99_ms = _p99_ms(bench, leadger, traffic, ours.rate * batch, loads) if with_latency else 0.0
            rates.append(_Rates(ours.rate * batch, bare.rate * batch, typed.rate * batch, p99_ms, ours.dropped * batch))
        bench.say("accept: deciding what was accepted")
        with workers(servers, leadger, bench.workers):
            bench.drained(leadger)
        check = str(bench.checked(leadger, loads))
    servers.drop(database)
    return rates, check


def capacity(bench: Bench, port: int, key: str, traffic: Traffic, loads: Loads) -> Result:
    """Open loop above what the server can take, which a short closed loop estimates; the rest is dropped and counted.

    If the server kept pace all the same, the estimate was too low: then once more, faster.
    """
    probe = _part(traffic, "probe", max(traffic.leads // _PROBE_SHARE, traffic.batch))
    result = bench.send(port, key, probe, 0)
    loads.append((probe, result))
    rate = result.rate * _OVER
    for attempt in range(_MOST_ATTEMPTS):
        part = _part(traffic, f"try{attempt}", traffic.leads)
        result = bench.send(port, key, part, rate * traffic.batch, backlog=_BACKLOG)
        loads.append((part, result))
        if result.rate < _KEPT_PACE * rate:
            break
        rate *= _OVER
    return result


def _p99_ms(bench: Bench, leadger: Leadger, traffic: Traffic, rate: float, loads: Loads) -> float:
    part = _part(traffic, "latency", traffic.leads)
    result = bench.send(leadger.port, leadger.database.key, part, rate * _SHARE_FOR_LATENCY, backlog=100_000)
    loads.append((part, result))
    return percentile(result.latency_s, 0.99) * 1000


def _part(traffic: Traffic, name: str, leads: int) -> Traffic:
    return Traffic(f"{traffic.name}-{name}", traffic.world, leads, traffic.batch)
