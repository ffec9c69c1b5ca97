"""A failover as clients see it: the server goes away, comes back read-only, and later writes again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg


@asynccontextmanager
async def failed_over(database_url: str) -> AsyncIterator[None]:
    """While the block runs, new connections are read-only; those made in it stay so, as those to an old primary do."""
    name = urlsplit(database_url).path[1:]
    # The owner's connection writes whatever the database's default is.
    owner = await asyncpg.connect(database_url, server_settings={"default_transaction_read_only": "off"})
    try:
        await owner.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()",
            name,
        )
        try:
            yield
        finally:
            await owner.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    finally:
        await owner.close()
