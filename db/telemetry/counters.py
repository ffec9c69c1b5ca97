"""Counts of what happened since the beginning, kept in the transactions that made it happen."""

import os
from collections.abc import Mapping

import asyncpg

_SLOTS = 8


async def add(connection: asyncpg.Connection, counts: Mapping[str, int]) -> None:
    """Add to named counts; processes write to rows of their own, so that they do not wait for each other."""
    names = sorted(name for name, count in counts.items() if count)
    await connection.execute(
        """
        INSERT INTO tallies (name, slot, value)
        SELECT name, $3, value FROM unnest($1::text[], $2::bigint[]) AS counted (name, value)
        ON CONFLICT (name, slot) DO UPDATE SET value = tallies.value + excluded.value
        """,
        names,
        [counts[name] for name in names],
        os.getpid() % _SLOTS,
    )


async def read(connection: asyncpg.Connection) -> dict[str, int]:
    """All counts by name."""
    rows = await connection.fetch("SELECT name, sum(value)::bigint AS value FROM tallies GROUP BY name")
    return {row["name"]: row["value"] for row in rows}


async def one(connection: asyncpg.Connection, name: str) -> int:
    """A count by its name; 0 if nothing was counted."""
    value: int = await connection.fetchval("SELECT coalesce(sum(value), 0)::bigint FROM tallies WHERE name = $1", name)
    return value


async def put(connection: asyncpg.Connection, name: str, value: int) -> None:
    """Set a figure that is measured, not counted."""
    await connection.execute(
        """
        INSERT INTO tallies (name, slot, value) VALUES ($1, 0, $2)
        ON CONFLICT (name, slot) DO UPDATE SET value = excluded.value
        """,
        name,
        value,
    )
