"""A load on a running Leadger from the first arrival to the last commit, checked by the oracle."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import asyncpg

from scripts.dev.bench import ledger
from scripts.dev.bench.bench import Bench
from scripts.dev.bench.load import Result
from scripts.dev.bench.processes import Leadger, everything
from scripts.dev.bench.servers import Database
from scripts.dev.bench.traffic import Traffic
from scripts.dev.bench.usage import cpu_s, of_folder, of_session, peak_mb, used_s


@dataclass(frozen=True)
class Ingested:
    """What one load came to. `leads_per_s` counts from the first scheduled arrival to the last commit of verdicts."""

    leads_per_s: float
    load: Result
    check: str
    deadlocks: int
    peak_mb: dict[str, float]
    cpu_us: dict[str, float]
    """CPU microseconds per lead, by kind of process; whoever else is busy does not change them much."""
    wal_bytes: int
    """What Postgres wrote to its log of changes, page images after checkpoints included."""

    @property
    def costs(self) -> str:
        """The CPU time in words."""
        each = ", ".join(f"{name} {spent:.0f}" for name, spent in self.cpu_us.items())
        return f"CPU µs per lead: {each}; together {sum(self.cpu_us.values()):.0f}"


def ingest(bench: Bench, database: Database, traffic: Traffic) -> Ingested:
    """Start everything on a database, send a load above what is possible, wait, check, stop."""
    with everything(bench.servers, database, bench.workers) as leadger:
        bench.say("  everything is up")
        before, written_before = _cpu_s(bench, leadger), asyncio.run(_asked(database, ledger.wal_position))
        result = bench.send(leadger.port, database.key, traffic, bench.sizes.offered_leads_per_s)
        end = bench.drained(leadger)
        bench.say(f"  billed: {len(result.acknowledged) * traffic.batch / (end - result.started_at):,.0f} leads/s")
        spent_s = {name: used_s(before[name], after) for name, after in _cpu_s(bench, leadger).items()}
        spent_s["load"] = result.generator_cpu_s
        written = asyncio.run(_asked(database, ledger.wal_position)) - written_before
        peaks = {name: max(peak_mb(leadger.processes[name].pid).values(), default=0.0) for name in ("api", "worker")}
        check = bench.checked(leadger, [(traffic, result)])
        bench.say(f"  the oracle agrees: {check}")
    leads = len(result.acknowledged) * traffic.batch
    cpu_us = {name: spent * 1e6 / leads for name, spent in spent_s.items()}
    deadlocks = asyncio.run(_asked(database, ledger.deadlocks))
    return Ingested(leads / (end - result.started_at), result, str(check), deadlocks, peaks, cpu_us, written)


def _cpu_s(bench: Bench, leadger: Leadger) -> dict[str, dict[int, float]]:
    return {
        "api": cpu_s(of_session(leadger.processes["api"].pid)),
        "worker": cpu_s(of_session(leadger.processes["worker"].pid)),
        "postgres": cpu_s(of_folder(bench.servers.postgres_folder)),
    }


async def _asked(database: Database, question: Callable[[asyncpg.Connection], Awaitable[int]]) -> int:
    connection = await asyncpg.connect(database.url)
    try:
        return await question(connection)
    finally:
        await connection.close()
