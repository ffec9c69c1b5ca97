"""How much room the tables take: the rows themselves, their indexes, and long values kept apart (TOAST)."""

import asyncio
from dataclasses import dataclass

import asyncpg

from scripts.dev.bench.servers import Database


@dataclass(frozen=True)
class Weight:
    """Bytes of one table."""

    heap: int
    indexes: int
    toast: int

    @property
    def total(self) -> int:
        """All together."""
        return self.heap + self.indexes + self.toast

    def __sub__(self, other: "Weight") -> "Weight":
        return Weight(self.heap - other.heap, self.indexes - other.indexes, self.toast - other.toast)


def weights(database: Database) -> dict[str, Weight]:
    """The weight of each table."""
    return asyncio.run(_weights(database.url))


async def _weights(url: str) -> dict[str, Weight]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            """
            SELECT relname, pg_indexes_size(oid) AS indexes,
                coalesce(pg_total_relation_size(nullif(reltoastrelid, 0)), 0) AS toast,
                pg_total_relation_size(oid) AS total
            FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
            """
        )
    finally:
        await connection.close()
    return {
        row["relname"]: Weight(row["total"] - row["indexes"] - row["toast"], row["indexes"], row["toast"])
        for row in rows
    }
