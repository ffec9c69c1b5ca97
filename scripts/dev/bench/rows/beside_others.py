"""The door and the engine while others read, wait for locks, send large bodies, change rules and rebuild.

The leads that are measured come at a fifth of the rate that was billed before, in the same run. None of them is of the
two customers that the others are at, as none of the partners' clients would be; all share the servers and processes.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import asyncpg
import httpx
import msgspec

from scripts.dev.bench.bench import Bench, percentile
from scripts.dev.bench.check import PERIOD
from scripts.dev.bench.figures import Figure
from scripts.dev.bench.load import Result
from scripts.dev.bench.processes import Leadger, everything
from scripts.dev.bench.rows.latency import waits_s
from scripts.dev.bench.rows.throughput import BATCH
from scripts.dev.bench.traffic import Traffic
from scripts.dev.bench.world import World

_SHARE = 0.2
_LEADS_A_REQUEST = 10
_READERS = 8
_WAITERS = 8
_REBUILT = 2
_SENDERS = 2
"""Clients of one key that send large bodies, one after the other."""
_QUARANTINED_A_REQUEST = 500
_MB = 1024 * 1024
_LARGE_MB = (1, 4, 16, 17)
"""By turns; the last is more than the door takes. Of the others all leads but the last can be read: the longest way."""
_REFUSED = (400, 413, 429)
_WAITED = (409, 503)
_LONGEST_TASKS_S = 600.0
_PRICES = {"High": "10.00", "Medium": "5.00", "Low": "2.00"}
"""The rules say what the default ones say: every verdict gets another rule and keeps its amount."""
_RULES = [{"lead_type": kind} for kind in ("Website Visit", "Email Campaign", "Referral", "Conference")] + [
    {"action_type": kind} for kind in ("Click", "Signup", "Attendance")
]
_MOST_RULES = 20


@dataclass
class _Done:
    """What the others got done while the leads came."""

    counts: Counter[str] = field(default_factory=Counter)
    task_urls: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "beside it: " + ", ".join(f"{count:,} {what}" for what, count in sorted(self.counts.items()))


def beside_others(bench: Bench) -> list[Figure]:
    """`POST /leads` and accepted → billed at a fifth of the billed rate, everybody else busy."""
    sizes = bench.sizes
    name = f"beside others ({sizes.beside_partners:,} partners, {sizes.beside_quarantined:,} quarantined)"
    door = Figure(f"{name}: POST /leads, p99", "≤ 100 ms, no 503", "ms", [], dropped=0)
    engine = Figure(f"{name}: accepted → billed, p99", "≤ 2,000 ms", "ms", [], dropped=0)
    unavailable = 0
    for repeat in range(bench.repeats):
        world = World(sizes.beside_partners, customers=sizes.customers)
        big = Traffic(f"big{repeat}", World(1, 3, 1), sizes.one_customer_actions // 2, BATCH, types=400, shuffled=True)
        locked = Traffic(f"locked{repeat}", World(2, 3, 2), BATCH, BATCH, first_customer=1)
        probe = Traffic(f"p{repeat}", world, sizes.leads // 3, BATCH, end=0.3, first_customer=2)
        strangers = Traffic(
            f"q{repeat}", World(1, customers=1, products="unknown"), sizes.beside_quarantined, _QUARANTINED_A_REQUEST
        )
        bench.say(f"beside-others: {world.partners:,} partners")
        database = bench.servers.database(world)
        with everything(bench.servers, database, bench.workers) as leadger:

            def fast(traffic: Traffic, leadger: Leadger = leadger) -> Result:
                return bench.send(leadger.port, leadger.database.key, traffic, sizes.offered_leads_per_s)

            probed = fast(probe)
            rate = _SHARE * len(probed.acknowledged) * BATCH / (bench.drained(leadger) - probed.started_at)
            before = [(probe, probed), (big, fast(big)), (locked, fast(locked))]
            quarantined = len(fast(strangers).acknowledged) * _QUARANTINED_A_REQUEST
            bench.drained(leadger)
            leads = max(int(rate * sizes.latency_s), 10 * _LEADS_A_REQUEST)
            traffic = Traffic(f"l{repeat}", world, leads, _LEADS_A_REQUEST, begin=0.31, first_customer=2)
            bench.say(f"beside-others: {rate:,.0f} leads/s for {sizes.latency_s:.0f} s beside others")
            with _others(bench, leadger, big, locked) as done:
                result = bench.send(leadger.port, database.key, traffic, rate, backlog=100_000)
                bench.drained(leadger)
            bench.say(f"beside-others: {done}")
            _wait_for_tasks(leadger, done)
            waited_s = asyncio.run(waits_s(leadger, result))
            door.values.append(percentile(result.latency_s, 0.99) * 1000)
            engine.values.append(percentile(waited_s, 0.99) * 1000)
            check = str(bench.checked(leadger, [*before, (traffic, result)], undecided=quarantined))
            unavailable += result.statuses.get("503", 0)
            for figure in (door, engine):
                figure.dropped = (figure.dropped or 0) + result.dropped * _LEADS_A_REQUEST
                figure.check = check
            door.notes.append(f"{rate:,.0f} leads/s in requests of {_LEADS_A_REQUEST}: {result.statuses}; {done}")
        bench.servers.drop(database)
    door.meets = max(door.values) <= 100 and not unavailable
    engine.meets = max(engine.values) <= 2000
    return [door, engine]


@contextmanager
def _others(bench: Bench, leadger: Leadger, big: Traffic, locked: Traffic) -> Iterator[_Done]:
    """Everybody else at work until the block ends."""
    ended, done = threading.Event(), _Done()
    reads = [f"{big.name}-{number}" for number in range(0, big.leads, max(big.leads // 200, 1))]
    with leadger.client() as client:
        body = {"name": "large bodies", "scopes": ["ingest"]}
        large_key = client.post("/api/keys", json=body).raise_for_status().json()["key"]
        lead = client.get(f"/leads/{locked.name}-0").raise_for_status().json()
        waited_for = lead["actions"][0]["action_id"]

    def repeatedly(work: Callable[[httpx.Client], None]) -> Callable[[], None]:
        def until_the_end() -> None:
            with leadger.client() as client:
                while not ended.is_set():
                    work(client)

        return until_the_end

    def read(client: httpx.Client) -> None:
        for each in reads:
            if ended.is_set():
                return
            client.get(f"/leads/{each}").raise_for_status()
            done.counts["reads"] += 1

    def wait(client: httpx.Client) -> None:
        answer = client.post(f"/api/actions/{waited_for}/hold", json={"reason": "measured"})
        _expect(answer, _WAITED)
        done.counts["requests that waited for a lock"] += 1

    def send_large(first: int) -> None:
        bodies = {size: _large_body(size) for size in _LARGE_MB}
        with leadger.client() as client:
            client.headers["Authorization"] = f"Bearer {large_key}"
            for number in range(first, bench.sizes.large_bodies, _SENDERS):
                if ended.is_set():
                    return
                answer = client.post("/leads", content=bodies[_LARGE_MB[number % len(_LARGE_MB)]])
                _expect(answer, _REFUSED)
                done.counts[f"large bodies answered {answer.status_code}"] += 1

    def post(client: httpx.Client, path: str, content: dict[str, Any]) -> Any:
        """The answer, however often it takes: those who wait for the customer share a partner that rules wait for."""
        while (answer := client.post(path, json=content)).status_code == 503:
            done.counts[f"{path} answered 503: {answer.json()['detail']}"] += 1
        return answer.raise_for_status().json()

    def change_rules_and_rebuild() -> None:
        with leadger.client() as client:
            for rule in _rules():
                post(client, "/api/rate-cards", rule)
                done.counts["rules for all"] += 1
            for number in range(_REBUILT):
                month = {"partner": big.world.partner(number), "period": f"{PERIOD // 100}-{PERIOD % 100:02d}"}
                done.task_urls.append(post(client, "/billing/reports/rebuild", month)["status_url"])
                done.counts["rebuilds"] += 1

    jobs = [repeatedly(read)] * _READERS + [repeatedly(wait)] * _WAITERS + [change_rules_and_rebuild]
    jobs += [partial(send_large, first) for first in range(_SENDERS)]
    with _holding(leadger, locked.world.customer(locked.first_customer)), ThreadPoolExecutor(len(jobs)) as pool:
        working = [pool.submit(job) for job in jobs]
        try:
            yield done
        finally:
            ended.set()
        for each in working:
            each.result()


def _expect(answer: httpx.Response, statuses: tuple[int, ...]) -> None:
    if answer.status_code not in statuses:
        raise RuntimeError(f"{answer.request.url.path} answered {answer.status_code}: {answer.text[:500]}")


@contextmanager
def _holding(leadger: Leadger, customer: str) -> Iterator[None]:
    """A session that has the customer locked until the block ends."""
    with asyncio.Runner() as runner:
        connection: asyncpg.Connection = runner.run(asyncpg.connect(leadger.database.url))
        transaction = connection.transaction()
        runner.run(transaction.start())
        rows = runner.run(
            connection.fetch(
                """
                SELECT FROM customer_states JOIN customers ON customers.id = customer_id
                WHERE customers.external_id = $1 FOR UPDATE OF customer_states
                """,
                customer,
            )
        )
        if not rows:
            raise RuntimeError(f"{customer} has no leads yet, so there is nothing to wait for")
        try:
            yield
        finally:
            runner.run(transaction.rollback())
            runner.run(connection.close())


def _rules() -> list[dict[str, Any]]:
    rules = [
        {**conditions, "engagement_level": level, "amount": amount}
        for conditions in _RULES
        for level, amount in _PRICES.items()
    ]
    return rules[:_MOST_RULES]


def _large_body(mb: int) -> bytes:
    """About so many megabytes of leads, of which only the last cannot be accepted, by its level."""
    lead = next(Traffic("large", World(1, 3, 1), 1, 1, actions=50).chunks())[0]
    size = len(msgspec.json.encode(lead)) + len(",large-00000")
    leads = [{**lead, "lead_id": f"large-{number}"} for number in range(mb * _MB // size + 1)]
    leads[-1] = {**leads[-1], "actions": [{**lead["actions"][0], "engagement_level": "Unknown"}]}
    # The largest that the door takes is to be just below its limit.
    return msgspec.json.encode(leads if mb != 16 else leads[len(leads) // 50 :])


def _wait_for_tasks(leadger: Leadger, done: _Done) -> None:
    """Until all background tasks have ended; raises if a rebuild failed, or if that takes too long."""
    deadline = time.monotonic() + _LONGEST_TASKS_S
    with leadger.client() as client:
        while any(
            client.get("/api/tasks", params={"state": state}).raise_for_status().json()["items"]
            for state in ("waiting", "running")
        ):
            if time.monotonic() > deadline:
                raise TimeoutError(f"background tasks did not end within {_LONGEST_TASKS_S:.0f} s")
            time.sleep(0.2)
        for url in done.task_urls:
            task = client.get(url).raise_for_status().json()
            if task["state"] != "done":
                raise RuntimeError(f"a rebuild has not been done: {task}")
