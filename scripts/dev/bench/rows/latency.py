"""How long a lead waits from its scheduled arrival until its verdicts are committed, at 70 % of what is possible."""

import asyncio
from uuid import UUID

import asyncpg

from scripts.dev.bench import ledger
from scripts.dev.bench.bench import Bench, percentile
from scripts.dev.bench.figures import Figure
from scripts.dev.bench.load import Result
from scripts.dev.bench.processes import Leadger, everything
from scripts.dev.bench.rows.throughput import BATCH
from scripts.dev.bench.traffic import Traffic
from scripts.dev.bench.world import World

_SHARE = 0.7


def latency(bench: Bench) -> list[Figure]:
    """p50 and p99 in milliseconds; the rate that is possible is measured first, in the same run."""
    servers = bench.servers
    world = World(customers=bench.sizes.customers)
    middle, late = [], []
    dropped = 0
    check = ""
    rates = []
    for repeat in range(bench.repeats):
        database = servers.database(world)
        with everything(servers, database, bench.workers) as leadger:
            bench.say("latency: what rate is possible?")
            probe = Traffic(f"p{repeat}", world, bench.sizes.leads // 3, BATCH, end=0.3)
            probed = bench.send(leadger.port, database.key, probe, bench.sizes.offered_leads_per_s)
            end = bench.drained(leadger)
            rate = _SHARE * len(probed.acknowledged) * BATCH / (end - probed.started_at)
            bench.say(f"latency: {rate:,.0f} leads/s for {bench.sizes.latency_s:.0f} s")
            leads = max(int(rate * bench.sizes.latency_s), 10 * BATCH)
            traffic = Traffic(f"l{repeat}", world, leads, BATCH, begin=0.31)
            result = bench.send(leadger.port, database.key, traffic, rate, backlog=100_000)
            bench.drained(leadger)
            waited_s = asyncio.run(waits_s(leadger, result))
            middle.append(percentile(waited_s, 0.5) * 1000)
            late.append(percentile(waited_s, 0.99) * 1000)
            dropped += result.dropped * BATCH
            rates.append(rate)
            check = str(bench.checked(leadger, [(probe, probed), (traffic, result)]))
        servers.drop(database)
    figures = [
        Figure("latency accepted → billed, p99 at 70 % load", "≤ 1,000 ms", "ms", late, meets=max(late) <= 1000),
        Figure("latency accepted → billed, p50 at 70 % load", "–", "ms", middle),
    ]
    for figure in figures:
        figure.dropped, figure.check = dropped, check
        figure.notes = [f"at {', '.join(f'{rate:,.0f}' for rate in rates)} leads/s"]
    return figures


async def waits_s(leadger: Leadger, result: Result) -> list[float]:
    """From the scheduled arrival of a request to the commit of its verdicts."""
    connection = await asyncpg.connect(leadger.database.url)
    try:
        commits = await ledger.commits(connection)
    finally:
        await connection.close()
    return [commits[UUID(batch)] - at for batch, at in zip(result.batches, result.scheduled_at, strict=True)]
