"""One customer with very many actions: reading, changing and trying single leads of theirs, and accepting beside it."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx

from scripts.dev.bench.bench import Bench, percentile
from scripts.dev.bench.figures import Figure
from scripts.dev.bench.processes import Leadger, everything
from scripts.dev.bench.traffic import Traffic
from scripts.dev.bench.usage import peak_mb
from scripts.dev.bench.world import World

_BATCH = 500
_TYPES = 400
_READS = 200
_CHANGES = 10
_DRY_RUNS = 3
_TRIED = 100
_READERS = 4
_MOST_MB = 250


def one_customer_reads(bench: Bench) -> list[Figure]:
    """Reads, changes and dry runs of the one, the API's memory, and `POST /leads` beside four who read."""
    actions = bench.sizes.one_customer_actions
    name = f"one customer, {actions:,} actions"
    figures = {
        "lead": Figure(f"{name}: reading a lead, p99", "≤ 50 ms", "ms", []),
        "action": Figure(f"{name}: reading an action, p99", "≤ 50 ms", "ms", []),
        "change": Figure(f"{name}: hold, release, return, correct, longest", "≤ 200 ms", "ms", []),
        "dry run": Figure(f"{name}: dry run of {_TRIED} leads", "≤ 1,000 ms", "ms", []),
        "accept": Figure(f"{name}: POST /leads beside {_READERS} readers, p99", "≤ 100 ms", "ms", []),
        "memory": Figure(f"{name}: largest api process", f"≤ {_MOST_MB} MB", "MB", []),
    }
    world = World(1, 3, 1)
    check = ""
    for repeat in range(bench.repeats):
        traffic = Traffic(f"one{repeat}", world, actions // 2, _BATCH, types=_TYPES, shuffled=True)
        database = bench.servers.database(world)
        with everything(bench.servers, database, bench.workers) as leadger, leadger.client() as client:
            bench.say(f"one-customer-reads: {actions:,} actions")
            sent = bench.send(leadger.port, database.key, traffic, bench.sizes.offered_leads_per_s)
            bench.drained(leadger)
            check = str(bench.checked(leadger, [(traffic, sent)]))
            ids = [f"{traffic.name}-{number}" for number in range(0, traffic.leads, max(traffic.leads // _READS, 1))]
            for kind, taken_s in _measured(leadger, client, world, ids).items():
                figures[kind].values.append(taken_s * 1000)
            figures["memory"].values.append(max(peak_mb(leadger.processes["api"].pid).values()))
        bench.servers.drop(database)
    most = {"lead": 50, "action": 50, "change": 200, "dry run": 1000, "accept": 100, "memory": _MOST_MB}
    for kind, figure in figures.items():
        figure.meets, figure.check = max(figure.values) <= most[kind], check
    return [*figures.values()]


def _measured(leadger: Leadger, client: httpx.Client, world: World, ids: list[str]) -> dict[str, float]:
    """Seconds, by what was measured."""
    actions: list[str] = []

    def read_lead(lead_id: str) -> None:
        found = client.get(f"/leads/{lead_id}").raise_for_status().json()
        actions.append(found["actions"][0]["action_id"])

    def read_action(action_id: str) -> None:
        client.get(f"/api/actions/{action_id}").raise_for_status()

    def change(path: str, **more: str) -> Callable[[str], None]:
        return lambda each: _post(client, f"/api/actions/{each}/{path}", {"reason": "measured", **more})

    lead_s = [_timed(read_lead, each) for each in ids]
    action_s = [_timed(read_action, each) for each in actions]
    changed = actions[:_CHANGES]
    change_s = [_timed(change(path), each) for path in ("hold", "release", "return", "release") for each in changed]
    change_s += [_timed(change("correct", action_type="Right"), each) for each in changed]
    (tried,) = Traffic("dry", world, _TRIED, _TRIED, types=_TYPES, shuffled=True).chunks()
    dry_s = [_timed(lambda leads: _post(client, "/leads?dry_run=true", leads), tried) for _ in range(_DRY_RUNS)]
    with _readers(leadger, ids):
        singles = [leads[0] for leads in Traffic("beside", world, _READS, 1, types=_TYPES).chunks()]
        accept_s = [_timed(lambda lead: _post(client, "/leads", lead), each) for each in singles]
    return {
        "lead": percentile(lead_s, 0.99),
        "action": percentile(action_s, 0.99),
        "change": max(change_s),
        "dry run": max(dry_s),
        "accept": percentile(accept_s, 0.99),
    }


def _post(client: httpx.Client, path: str, content: Any) -> None:
    client.post(path, json=content).raise_for_status()


def _timed(call: Callable[[Any], None], argument: Any) -> float:
    started = time.perf_counter()
    call(argument)
    return time.perf_counter() - started


@contextmanager
def _readers(leadger: Leadger, ids: list[str]) -> Iterator[None]:
    """Readers that ask for one lead after the other until the block ends."""
    ended = threading.Event()

    def read() -> None:
        with leadger.client() as client:
            while not ended.is_set():
                for each in ids[:20]:
                    client.get(f"/leads/{each}").raise_for_status()

    with ThreadPoolExecutor(_READERS) as pool:
        readers = [pool.submit(read) for _ in range(_READERS)]
        try:
            yield
        finally:
            ended.set()
    for reader in readers:
        reader.result()
