"""What-if over one partner-month with very many actions: the time, and what the worker that looks uses."""

import time
from typing import Any

import httpx

from scripts.dev.bench.bench import Bench
from scripts.dev.bench.check import WrongTotals
from scripts.dev.bench.figures import Figure
from scripts.dev.bench.processes import Leadger, everything
from scripts.dev.bench.rows.report import ACTIONS_PER_CUSTOMER, fill_month
from scripts.dev.bench.usage import cpu_s, of_session, peak_mb, used_s
from scripts.dev.bench.world import World

_LOOKED_AT = {"partners": ["partner-0000"], "from": "2024-03", "to": "2024-03"}
_LONGEST_S = 300.0
_HALF_THE_PRICE = {"rates": [{"engagement_level": "Low", "amount": "1.00"}]}


def what_if(bench: Bench) -> list[Figure]:
    """The same settings differ in nothing; half of the cap bills half, half of the price bills 80 winners of 1.00."""
    customers = max(bench.sizes.report_actions // ACTIONS_PER_CUSTOMER, 1)
    actions = customers * ACTIONS_PER_CUSTOMER
    database = bench.servers.database(World(1, 3, customers))
    bench.say(f"what-if: filling one month with {actions:,} actions")
    fill_month(database.url)
    name = f"what-if over {actions:,} actions"
    looks: tuple[tuple[str, dict[str, Any], int], ...] = (
        ("the same settings", {}, 100),
        ("half of the cap", {"cap": "50.00"}, 50),
        ("half of the price", _HALF_THE_PRICE, 80),
    )
    taken = [Figure(f"{name}: {what}", "≤ 15 s", "s", []) for what, _, _ in looks]
    spent = [Figure(f"{name}: {what}, CPU time of the worker", "–", "µs per action", []) for what, _, _ in looks]
    held = Figure(f"{name}: memory of the worker", "≤ 250 MB", "MB", [])
    with everything(bench.servers, database, bench.workers) as leadger, leadger.client() as client:
        for _ in range(bench.repeats):
            for place, (_, supposed, after) in enumerate(looks):
                before_s = _cpu_s(leadger)
                taken[place].values.append(_look(client, supposed, f"{after * customers}.00"))
                spent[place].values.append(used_s(before_s, _cpu_s(leadger)) * 1_000_000 / actions)
        held.values.append(max(peak_mb(leadger.processes["background"].pid).values()))
    bench.servers.drop(database)
    for figure in taken:
        figure.meets = max(figure.values) <= 15
    held.meets = max(held.values) <= 250
    figures = [*taken, *spent, held]
    for figure in figures:
        figure.check = "closed form of the filled rows"
    return figures


def _cpu_s(leadger: Leadger) -> dict[int, float]:
    return cpu_s(of_session(leadger.processes["background"].pid))


def _look(client: httpx.Client, supposed: dict[str, Any], after: str) -> float:
    started = time.perf_counter()
    task = client.post("/api/what-if", json=_LOOKED_AT | supposed).raise_for_status().json()
    while True:
        found = client.get(f"/api/what-if/{task['task_id']}", params={"limit": 1}).raise_for_status().json()
        taken_s = time.perf_counter() - started
        if found["state"] in ("done", "failed"):
            break
        if taken_s > _LONGEST_S:
            raise TimeoutError(f"the what-if took more than {_LONGEST_S:.0f} s")
        time.sleep(0.05)
    if found["state"] == "failed" or found["sums"][0]["after"] != after:
        raise WrongTotals(f"the what-if says {found}, wanted {after}")
    return taken_s
