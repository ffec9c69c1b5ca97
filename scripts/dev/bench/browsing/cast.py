"""What stands behind the pages: everything that is stored set-based, and the few things that are made for real."""

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from scripts.dev.bench.bench import Bench
from scripts.dev.bench.browsing import stored_bills
from scripts.dev.bench.filled import LAST_PERIOD, periods_before
from scripts.dev.bench.plans import ballast
from scripts.dev.bench.processes import Leadger, everything
from scripts.dev.bench.servers import Database
from scripts.dev.bench.stored import Fill, fill
from scripts.dev.bench.traffic import Traffic
from scripts.dev.bench.world import World

PASSWORD = "four words of no meaning"  # noqa: S105 - of people who exist only here
ROLES = ("admin", "finance", "customer_success", "sales", "partner")
CUSTOMERS_PER_PARTNER = 2
_PERIODS = periods_before(LAST_PERIOD, 13)
BILLED = _PERIODS[:10]
_ACTIONS, _TYPES = 4, 3
_BATCH = 500
_LONGEST_S = 300.0
_TAXED = {"category": "S", "rate": "20.00", "note": None}


@dataclass(frozen=True)
class Cast:
    """A filled database, how much is in it, and what was made for real in it."""

    database: Database
    actions: int
    bills: int
    bill_id: str
    run_id: UUID
    what_if_id: str
    webhook_id: str
    batch_id: str
    reconciliation_id: str


def made(bench: Bench, partners: int) -> Cast:
    """Fill a database with so many partners, a hundred actions and ten bills of each, and one partner with more."""
    world = World(partners, 1, CUSTOMERS_PER_PARTNER * partners)
    bench.say(f"pages: making {partners:,} partners")
    database = bench.servers.database(world)
    bench.say("pages: filling actions")
    asyncio.run(_with(database, _fill_actions))
    with everything(bench.servers, database, bench.workers) as leadger, leadger.client(_LONGEST_S) as client:
        batch_id = _send(bench, leadger, partners)
        for role in ROLES:
            _invite(client, role, world)
        bill_id = _bill(client, world.partner(0))
        what_if_id = _what_if(client, world.partner(0))
        reconciliation_id = _reconciliation(client, world.partner(0), partners)
        webhook = _post(client, "/api/webhooks", url="https://hooks.example.com/leadger", events=["bill.issued"])
    bench.say("pages: filling bills")
    bills, run_id = asyncio.run(_with(database, partial(_fill_rest, model=UUID(bill_id), quarantined=partners)))
    actions = asyncio.run(_with(database, lambda connection: connection.fetchval("SELECT count(*) FROM actions")))
    ids = bill_id, run_id, what_if_id, webhook["webhook_id"], batch_id, reconciliation_id
    return Cast(database, actions, bills, *ids)


async def _with(database: Database, work: Any) -> Any:
    connection = await asyncpg.connect(database.url)
    try:
        return await work(connection)
    finally:
        await connection.close()


async def _fill_actions(connection: asyncpg.Connection) -> None:
    await fill(connection, Fill(_ACTIONS, _PERIODS, _TYPES), 1)


async def _fill_rest(connection: asyncpg.Connection, model: UUID, quarantined: int) -> tuple[int, UUID]:
    bills = await stored_bills.fill_bills(connection, model, BILLED)
    await stored_bills.hold_some(connection)
    await stored_bills.ask_returns(connection, BILLED[:8])
    await ballast.quarantined(connection, quarantined)
    run_ids = [await stored_bills.fill_run(connection, period) for period in BILLED]
    await connection.execute("VACUUM ANALYZE")
    return bills, run_ids[-1]


def _send(bench: Bench, leadger: Leadger, partners: int) -> str:
    """An open month of the first partner with many people, one of whom does much; returns the id of a batch."""
    many = Traffic("many", World(1, 1, CUSTOMERS_PER_PARTNER * partners), partners, _BATCH, end=0.5)
    one = Traffic("one", World(1, 1, 1), partners, _BATCH, begin=0.51)
    for traffic in (many, one):
        result = bench.send(leadger.port, leadger.database.key, traffic, bench.sizes.offered_leads_per_s)
    bench.drained(leadger)
    return result.batches[0]


def _invite(client: httpx.Client, role: str, world: World) -> None:
    user = _post(client, "/api/users", name=f"Person {role}", email=f"{role}@example.com", password=PASSWORD)
    body = {"role": role, "partner": world.partner(0) if role == "partner" else None}
    client.patch(f"/api/users/{user['user_id']}", json=body).raise_for_status()


def _bill(client: httpx.Client, partner: str) -> str:
    """The first bill of a partner, issued; every other one is made after it."""
    period = f"{BILLED[0] // 100}-{BILLED[0] % 100:02d}"
    client.put("/api/seller", json={"name": "Leadger Ltd", "address": "London", "tax_id": "GB123"}).raise_for_status()
    terms = {"tax": _TAXED, "address": "Berlin", "preferences": {"approvals": []}}
    client.patch(f"/api/partners/{partner}", json=terms | {"effective_period": period}).raise_for_status()
    started = client.post("/api/bills", json={"partner": partner, "period": period}).raise_for_status().json()
    _wait(client, started["status_url"])
    only = {"partner": partner, "period": period}
    for move in ("submit", "issue"):
        (bill,) = client.get("/api/bills", params=only).raise_for_status().json()["items"]
        body = {"digest": bill["digest"]}
        client.patch(f"/api/bills/{bill['bill_id']}/{move}", json=body).raise_for_status()
    return str(bill["bill_id"])


def _what_if(client: httpx.Client, partner: str) -> str:
    started = _post(client, "/api/what-if", **{"partners": [partner], "from": "2024-04", "to": "2024-04"}, cap="50.00")
    _wait(client, f"/api/tasks/{started['task_id']}")
    return str(started["task_id"])


def _reconciliation(client: httpx.Client, partner: str, rows: int) -> str:
    """A list of leads that nobody sent, so that all of them are missing here."""
    text = "lead_id,amount\n" + "".join(f"unknown-{number},1.00\n" for number in range(rows))
    asked, headers = {"partner": partner, "period": "2024-04"}, {"Content-Type": "text/csv"}
    started = client.post("/api/reconciliations", params=asked, content=text, headers=headers)
    started.raise_for_status()
    _wait(client, started.json()["status_url"])
    return str(started.json()["task_id"])


def _post(client: httpx.Client, path: str, **body: Any) -> Any:
    answer = client.post(path, json=body)
    if answer.is_error:
        raise RuntimeError(f"{path} answered {answer.status_code}: {answer.text}")
    return answer.json()


def _wait(client: httpx.Client, url: str) -> None:
    ends = time.monotonic() + _LONGEST_S
    while (task := client.get(url).raise_for_status().json())["state"] not in ("done", "failed"):
        if time.monotonic() > ends:
            raise TimeoutError(f"{url} took more than {_LONGEST_S:.0f} s")
        time.sleep(0.05)
    if task["state"] == "failed":
        raise RuntimeError(f"{url} says {task['error']}")
