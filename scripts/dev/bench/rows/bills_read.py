"""Reading bills and accounts beside very many: each filter and tab of the list, and the statement of a long account."""

import asyncio
import secrets
import time
from collections.abc import Mapping
from statistics import median

import asyncpg
import httpx

from scripts.dev.bench.bench import Bench
from scripts.dev.bench.billed import fill_bills
from scripts.dev.bench.check import WrongTotals
from scripts.dev.bench.figures import Figure
from scripts.dev.bench.processes import api
from scripts.dev.bench.world import World

_TARGET_MS = 50.0
_READS = 15
_PARTNERS = 500
_STATES = ("draft", "pending", "approved", "rejected", "issued", "paid", "written_off", "void", "cancelled")
_FILTERS: dict[str, dict[str, str]] = {
    "all": {},
    **{state: {"state": state} for state in _STATES},
    "overdue": {"overdue": "true"},
    "credit notes": {"kind": "credit_note"},
    "a number": {"number": "P00007-0002"},
    "a partner": {"partner": "partner-0007"},
    "a partner's paid ones": {"partner": "partner-0007", "state": "paid"},
}
_TABS = {
    f"tab {name or 'all'}": {"state": name}
    for name in ("", "mine", "draft", "pending", "approved", "rejected", "issued", "overdue", "paid")
}


def bills_list(bench: Bench) -> list[Figure]:
    """The slowest of the filters of the API and of the tabs of the page, each by its median of many reads."""
    partners = min(_PARTNERS, bench.sizes.listed_bills // 20)
    database = bench.servers.database(World(partners, 1, partners))
    bench.say(f"bills-list: filling {bench.sizes.listed_bills:,} bills")
    asyncio.run(_fill(database.url, bench.sizes.listed_bills // partners))
    name = f"list of {bench.sizes.listed_bills:,} bills"
    listed = Figure(f"{name}: the slowest filter of the API", f"≤ {_TARGET_MS:.0f} ms", "ms", [])
    shown = Figure(f"{name}: the slowest tab of the page", f"≤ {_TARGET_MS:.0f} ms", "ms", [])
    with api(bench.servers, database) as leadger, leadger.client() as client:
        _sign_in(client)
        for _ in range(bench.repeats):
            for figure, path, asked in ((listed, "/api/bills", _FILTERS), (shown, "/bills", _TABS)):
                taken_ms = {what: _read_ms(client, path, filters) for what, filters in asked.items()}
                slowest = max(taken_ms, key=taken_ms.__getitem__)
                figure.values.append(taken_ms[slowest])
                figure.notes.append(", ".join(f"{what} {ms:.1f} ms" for what, ms in taken_ms.items()))
    bench.servers.drop(database)
    return _judged(listed, shown)


def statement(bench: Bench) -> list[Figure]:
    """The statement of a partner over all its bills and payments, by its median of many reads."""
    documents = bench.sizes.statement_documents
    database = bench.servers.database(World(1, 1, 1))
    asyncio.run(_fill(database.url, documents // 2))
    read = Figure(f"statement of about {documents:,} documents", f"≤ {_TARGET_MS:.0f} ms", "ms", [])
    path, asked = "/api/partners/partner-0000/statement", {"from": "1900-01-01", "to": "2100-01-01"}
    with api(bench.servers, database) as leadger, leadger.client() as client:
        found = client.get(path, params=asked).raise_for_status().json()
        if found["entries"][-1]["balance"] != found["closing"] or len(found["entries"]) < documents * 0.9:
            raise WrongTotals(f"{len(found['entries'])} entries end with {found['closing']}")
        for _ in range(bench.repeats):
            read.values.append(_read_ms(client, path, asked))
    bench.servers.drop(database)
    return _judged(read)


async def _fill(url: str, months: int) -> None:
    connection = await asyncpg.connect(url)
    try:
        await fill_bills(connection, months)
    finally:
        await connection.close()


def _sign_in(client: httpx.Client) -> None:
    """As an Admin, whose session the pages ask for."""
    person = {"name": "Bench", "email": "bench@example.com", "password": secrets.token_urlsafe()}
    made = client.post("/api/users", json=person).raise_for_status().json()
    client.patch(f"/api/users/{made['user_id']}", json={"role": "admin"}).raise_for_status()
    with httpx.Client(base_url=client.base_url, trust_env=False) as unknown:
        unknown.post("/api/session", json={name: person[name] for name in ("email", "password")}).raise_for_status()
        client.cookies = unknown.cookies


def _read_ms(client: httpx.Client, path: str, asked: Mapping[str, str]) -> float:
    taken = []
    for _ in range(_READS):
        started = time.perf_counter()
        client.get(path, params=asked).raise_for_status()
        taken.append((time.perf_counter() - started) * 1000)
    return median(taken)


def _judged(*figures: Figure) -> list[Figure]:
    for figure in figures:
        figure.meets = max(figure.values) <= _TARGET_MS
    return [*figures]
