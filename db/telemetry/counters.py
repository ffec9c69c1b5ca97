"""Counters since the beginning, kept in the transactions that count."""

import os
from collections.abc import Mapping

import asyncpg

PEOPLE_ERASED = "people_erased"
"""The counter of erasures: a snapshot of a report compares it before and after."""

_SHARDS = 8


async def add(connection: asyncpg.Connection, counts: Mapping[str, int]) -> None:
    """Add to named counters. Each has a row per shard, so that processes do not wait for each other's rows."""
    names = sorted(name for name, count in counts.items() if count)
    await connection.execute(
        """
        INSERT INTO tallies (name, slot, value)
        SELECT name, $3, value FROM unnest($1::text[], $2::bigint[]) AS counted (name, value)
        ON CONFLICT (name, slot) DO UPDATE SET value = tallies.value + excluded.value
        """,
        names,
        [counts[name] for name in names],
        os.getpid() % _SHARDS,
    )


async def read(connection: asyncpg.Connection) -> dict[str, int]:
    """All counters by name."""
    rows = await connection.fetch("SELECT name, sum(value)::bigint AS value FROM tallies GROUP BY name")
    return {row["name"]: row["value"] for row in rows}


async def one(connection: asyncpg.Connection, name: str) -> int:
    """A counter by its name; 0 if nothing was counted."""
    value: int = await connection.fetchval("SELECT coalesce(sum(value), 0)::bigint FROM tallies WHERE name = $1", name)
    return value


async def put(connection: asyncpg.Connection, name: str, value: int) -> None:
    """Set a value that is measured, not counted."""
    await connection.execute(
        """
        INSERT INTO tallies (name, slot, value) VALUES ($1, 0, $2)
        ON CONFLICT (name, slot) DO UPDATE SET value = excluded.value
        """,
        name,
        value,
    )
