"""A partner's month with very many actions: screened for fraud, and attributed. CPU time tells it on a busy machine."""

import asyncio
import time
from decimal import Decimal
from typing import Any

import asyncpg
import httpx

from scripts.dev.bench.bench import Bench
from scripts.dev.bench.check import WrongTotals
from scripts.dev.bench.figures import Figure
from scripts.dev.bench.processes import Leadger, everything
from scripts.dev.bench.stored import Fill, fill
from scripts.dev.bench.usage import cpu_s, of_folder, of_session, used_s
from scripts.dev.bench.world import World

_PERIOD = 202403
_MONTH = {"partner": "partner-0000", "period": "2024-03"}
_ACTIONS_PER_CUSTOMER = 100
_TYPES = 80
_LONGEST_S = 300.0
_CONVERTING = ",".join(f"Stored {_PERIOD} {number}" for number in range(0, _TYPES, 4))
# Filled leads were received at the instant of their first action, and the second one comes an hour later.
HONEST = "UPDATE leads SET received_at = received_at + interval '1 day', created_at = created_at - interval '1 minute'"


def fraud_screen(bench: Bench) -> list[Figure]:
    """One screen by all rules in shadow; nothing in the filled rows is fraud."""
    actions, (database, name) = _actions(bench), _filled(bench, "fraud-screen")
    screened = Figure(f"{name}: fraud screen", "≤ 15 s", "s", [])
    with everything(bench.servers, database, bench.workers) as leadger, leadger.client(_LONGEST_S) as client:
        cpu = Figure(f"{name}: fraud screen, CPU time", "–", "µs/action", [])
        for _ in range(bench.repeats):
            before = _cpu(bench, leadger)
            started = time.perf_counter()
            result = _screen(client)
            screened.values.append(time.perf_counter() - started)
            cpu.values.append(used_s(before, _cpu(bench, leadger)) * 1_000_000 / actions)
            found = {each["rule"]: each["actions"] for each in result["rules"] if each["actions"]}
            if (result["actions"], found) != (actions, {}):
                raise WrongTotals(f"the screen says {result}")
    bench.servers.drop(database)
    screened.meets = max(screened.values) <= 15
    return _checked(screened, cpu)


def attribution(bench: Bench) -> list[Figure]:
    """Every fourth action type converts, credited by position: the model that needs most."""
    actions, (database, name) = _actions(bench), _filled(bench, "attribution")
    read = Figure(f"{name}: attribution", "≤ 10 s", "s", [])
    with everything(bench.servers, database, bench.workers) as leadger, leadger.client(_LONGEST_S) as client:
        cpu = Figure(f"{name}: attribution, CPU time", "–", "µs/action", [])
        for _ in range(bench.repeats):
            before = _cpu(bench, leadger)
            started = time.perf_counter()
            asked = _MONTH | {"by": "action_type", "model": "position", "converting": _CONVERTING}
            items = client.get("/api/billing/attribution", params=asked).raise_for_status().json()["items"]
            read.values.append(time.perf_counter() - started)
            cpu.values.append(used_s(before, _cpu(bench, leadger)) * 1_000_000 / actions)
            sums = sum(Decimal(each["credit"]) for each in items), sum(each["totals"]["actions"] for each in items)
            if sums != (actions, actions):  # of a customer's 100 actions of 2.00 half are billed
                raise WrongTotals(f"the credits and actions add up to {sums}")
    bench.servers.drop(database)
    read.meets = max(read.values) <= 10
    return _checked(read, cpu)


def _actions(bench: Bench) -> int:
    return max(bench.sizes.report_actions // _ACTIONS_PER_CUSTOMER, 1) * _ACTIONS_PER_CUSTOMER


def _filled(bench: Bench, row: str) -> tuple[Any, str]:
    actions = _actions(bench)
    database = bench.servers.database(World(1, 3, actions // _ACTIONS_PER_CUSTOMER))
    bench.say(f"{row}: filling one month with {actions:,} actions")
    asyncio.run(_fill(database.url))
    return database, f"one partner-month, {actions:,} actions"


async def _fill(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await fill(connection, Fill(_ACTIONS_PER_CUSTOMER, (_PERIOD,), _TYPES), 3)
        await connection.execute(HONEST)
        await connection.execute("VACUUM ANALYZE leads")
    finally:
        await connection.close()


def _screen(client: httpx.Client) -> dict[str, Any]:
    url = client.post("/api/fraud/screen", json=_MONTH).raise_for_status().json()["status_url"]
    deadline = time.monotonic() + _LONGEST_S
    while (task := client.get(url).raise_for_status().json())["state"] not in ("done", "failed"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the screen took more than {_LONGEST_S:.0f} s")
        time.sleep(0.05)
    if task["state"] == "failed":
        raise WrongTotals(f"the screen says {task}")
    result: dict[str, Any] = task["result"]
    return result


def _cpu(bench: Bench, leadger: Leadger) -> dict[int, float]:
    """Of everything that runs, Postgres included."""
    ours = [pid for process in leadger.processes.values() for pid in of_session(process.pid)]
    return cpu_s([*ours, *of_folder(bench.servers.postgres_folder)])


def _checked(*figures: Figure) -> list[Figure]:
    for figure in figures:
        figure.check = "closed form of the filled rows"
    return [*figures]
