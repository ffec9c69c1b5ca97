"""The yardstick of billing: Postgres taking the same final rows into the same tables by COPY, in one transaction.

The tables carry all their indexes, keys and checks. Nothing is received, decided or locked, so no engine that keeps
these rows in these tables can be faster than this on the same machine.
"""

import asyncio
import time
from pathlib import Path

import asyncpg

from scripts.dev.bench.servers import Database, Servers

TABLES = ("inbox", "periods", "leads", "actions", "winners", "customer_states", "customer_periods", "product_periods")


def copy_s(servers: Servers, source: Database) -> float:
    """Seconds that COPY takes for the rows that the engine has written in `source`."""
    target = servers.database(source.world)
    try:
        return asyncio.run(_copy(source.url, target.url, servers.home))
    finally:
        servers.drop(target)


async def _copy(source_url: str, target_url: str, folder: Path) -> float:
    files = {table: folder / f"copy-{table}.bin" for table in TABLES}
    source, target = await asyncpg.connect(source_url), await asyncpg.connect(target_url)
    try:
        for table, file in files.items():
            await source.copy_from_table(table, output=file, format="binary")
        await target.execute("CHECKPOINT")
        started = time.perf_counter()
        async with target.transaction():
            for table, file in files.items():
                await target.copy_to_table(table, source=file, format="binary")
        return time.perf_counter() - started
    finally:
        await source.close()
        await target.close()
        for file in files.values():
            file.unlink(missing_ok=True)
