"""What a million actions cost: CPU time by kind of process, room by table, and the log of changes."""

from math import ceil
from statistics import median

from scripts.dev.bench.bench import Bench
from scripts.dev.bench.figures import Figure
from scripts.dev.bench.filled import filled
from scripts.dev.bench.ingest import Ingested, ingest
from scripts.dev.bench.page import markdown
from scripts.dev.bench.rows.throughput import BATCH
from scripts.dev.bench.traffic import Traffic
from scripts.dev.bench.usage import MB
from scripts.dev.bench.weights import Weight, weights

_ACTIONS = 2
"""Of each lead."""
_MILLION = 1_000_000
_BILLION_A_DAY = 1_000
"""Millions of actions a day."""
_DAY_S = 86_400
_PEAK = 3
_NODE_CORES = 32
_NODE_SHARE = 0.5
_PARTNERS = 10_000
_KINDS = {"api": "API", "worker": "worker", "postgres": "Postgres"}
_LEAST_MB = 0.05

Costs = dict[str, float]
"""Of a million actions: CPU seconds by kind of process; "WAL" and "storage" in megabytes."""


def storage(bench: Bench) -> list[Figure]:
    """The room from a load on empty tables, whose indexes grow as in life; the rest on top of what is stored."""
    stored = bench.sizes.stored_actions
    costs: list[Costs] = []
    for repeat in range(bench.repeats):
        room, grown, actions = _load(bench, 0, f"r{repeat}")
        done, _, _ = _load(bench, stored, f"m{repeat}")
        costs.append(_costs(done, grown, actions))
    middle = {name: median(each[name] for each in costs) for name in costs[0]}
    measured = f"Measured with {actions:,} actions in requests of {BATCH} leads"
    bench.texts["storage"] = f"{measured}, on empty tables.\n\n{storage_table(grown, actions)}"
    bench.texts["billion"] = (
        f"{measured}: the room on empty tables, the rest on top of {stored:,} actions.\n\n{billion_table(middle)}"
    )
    return [_figure(name, [each[name] for each in costs], f"{room.check}; {done.check}") for name in middle]


def _load(bench: Bench, stored: int, name: str) -> tuple[Ingested, dict[str, Weight], int]:
    """One load on a copy of a database; what it came to, how the tables have grown, and how many actions it had."""
    bench.say(f"storage: {bench.sizes.leads:,} leads on top of {stored:,} actions")
    database = bench.servers.copy(filled(bench, stored))
    before = weights(database)
    traffic = Traffic(name, database.world, bench.sizes.leads, BATCH, _ACTIONS)
    done = ingest(bench, database, traffic)
    grown = {table: weight - before[table] for table, weight in weights(database).items()}
    bench.servers.drop(database)
    return done, grown, len(done.load.acknowledged) * BATCH * _ACTIONS


def _costs(done: Ingested, grown: dict[str, Weight], actions: int) -> Costs:
    of_load = len(done.load.acknowledged) * BATCH * _ACTIONS
    cpu_s = {kind: done.cpu_us[kind] / _ACTIONS for kind in _KINDS}  # µs an action are s a million
    room = sum(weight.total for weight in grown.values())
    return {**cpu_s, "WAL": _mb(done.wal_bytes, of_load), "storage": _mb(room, actions)}


def _figure(name: str, values: list[float], check: str) -> Figure:
    what = f"CPU of {_KINDS[name]}" if name in _KINDS else name
    return Figure(f"a million actions: {what}", "–", "s" if name in _KINDS else "MB", values, check=check)


def storage_table(grown: dict[str, Weight], actions: int) -> str:
    """The room that so many actions took, as megabytes a million."""
    rows = [["table", "rows", "indexes", "aside (TOAST)", "MB a million actions"]]
    for table, weight in sorted(grown.items(), key=lambda each: -each[1].total):
        if _mb(weight.total, actions) >= _LEAST_MB:
            rows.append([f"`{table}`", *_line(weight, actions)])
    every = grown.values()
    together = Weight(sum(w.heap for w in every), sum(w.indexes for w in every), sum(w.toast for w in every))
    rows.append(["**all**", *_line(together, actions)])
    return markdown(rows)


def _line(weight: Weight, actions: int) -> list[str]:
    return [f"{_mb(size, actions):,.1f}" for size in (weight.heap, weight.indexes, weight.toast, weight.total)]


def billion_table(costs: Costs) -> str:
    """Of a billion actions a day, a thousand times as much as a million costs."""
    rows = [["", "a million actions (measured)", "a billion a day (× 1,000, arithmetic)"]]
    for kind, name in _KINDS.items():
        cores = costs[kind] * _BILLION_A_DAY / _DAY_S
        rows.append([f"CPU of {name}", f"{costs[kind]:,.1f} s", f"{cores:,.1f} cores, busy day and night"])
    wal = costs["WAL"] * _BILLION_A_DAY
    rows.append(
        [
            "log of changes (WAL), whole pages after checkpoints included",
            f"{costs['WAL']:,.0f} MB",
            f"{wal / _DAY_S:,.1f} MB/s, {wal / _MILLION:,.2f} TB a day",
        ]
    )
    room = costs["storage"] * _BILLION_A_DAY / _MILLION
    nodes = ceil(costs["postgres"] * _BILLION_A_DAY / _DAY_S * _PEAK / (_NODE_CORES * _NODE_SHARE))
    rows.append(
        ["tables and indexes", f"{costs['storage']:,.0f} MB", f"{room:,.2f} TB a day, {30 * room:,.0f} TB a month"]
    )
    rows.append(
        [
            f"Postgres nodes of {_NODE_CORES} cores, {_NODE_SHARE:.0%} busy when {_PEAK} times as much comes",
            "assumed",
            f"{nodes}; of {_PARTNERS:,} partners alike each has {_PARTNERS // nodes:,}",
        ]
    )
    return markdown(rows)


def _mb(size: float, actions: int) -> float:
    return size / MB / actions * _MILLION
