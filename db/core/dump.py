"""Reading and writing all rows of the database, whatever its schema is: for backups.

Rows are in the text format of COPY, which every version of the server reads.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from graphlib import TopologicalSorter
from typing import Any

import asyncpg

_COPY_S = 7 * 86_400.0
_APPLICATIONS = ("leadger-api", "leadger-worker", "leadger-background")
_FILLED_BY_MIGRATIONS = frozenset({"rates"})


async def revision(connection: asyncpg.Connection) -> str | None:
    """The revision of the schema; None if there is none."""
    exists = await connection.fetchval("SELECT to_regclass('public.alembic_version') IS NOT NULL")
    return await connection.fetchval("SELECT version_num FROM alembic_version") if exists else None


async def snapshot_at(connection: asyncpg.Connection) -> datetime:
    """The instant whose rows the transaction reads."""
    instant: datetime = await connection.fetchval("SELECT transaction_timestamp()")
    return instant


async def columns(connection: asyncpg.Connection) -> dict[str, list[str]]:
    """The tables with their columns, without generated columns."""
    rows = await connection.fetch(
        """
        SELECT relname AS table, array_agg(attname::text ORDER BY attnum) AS columns
        FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
            AND relname <> 'alembic_version' AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
        GROUP BY relname ORDER BY relname
        """
    )
    return {row["table"]: row["columns"] for row in rows}


async def parents_first(connection: asyncpg.Connection, tables: Iterable[str]) -> list[str]:
    """The tables in an order in which each comes after those it refers to."""
    rows = await connection.fetch(
        """
        SELECT child.relname AS child, parent.relname AS parent FROM pg_constraint
        JOIN pg_class AS child ON child.oid = conrelid JOIN pg_class AS parent ON parent.oid = confrelid
        WHERE contype = 'f' AND conparentid = 0 AND conrelid <> confrelid
        """
    )
    parents: dict[str, set[str]] = {table: set() for table in tables}
    for row in rows:
        parents[row["child"]].add(row["parent"])
    return list(TopologicalSorter(parents).static_order())


async def sequences(connection: asyncpg.Connection) -> dict[str, tuple[int, bool]]:
    """Every sequence with its last value, and whether that was used."""
    names = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S' ORDER BY relname"
    )
    found = {}
    for (name,) in names:
        row = await connection.fetchrow(f'SELECT last_value, is_called FROM "{name}"')  # noqa: S608 - names of tables and columns that Postgres itself lists
        assert row is not None
        found[name] = (row["last_value"], row["is_called"])
    return found


async def used_tables(connection: asyncpg.Connection) -> list[str]:
    """The tables that hold rows which no migration wrote."""
    return [
        table
        for table in await columns(connection)
        if table not in _FILLED_BY_MIGRATIONS and await connection.fetchval(f'SELECT EXISTS (SELECT FROM "{table}")')  # noqa: S608 - names of tables and columns that Postgres itself lists
    ]


async def connected_processes(connection: asyncpg.Connection) -> int:
    """How many sessions API and workers have."""
    number: int = await connection.fetchval(
        """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = ANY($1::text[])
        """,
        _APPLICATIONS,
    )
    return number


async def copy_out(
    connection: asyncpg.Connection,
    table: str,
    names: Sequence[str],
    write: Callable[[bytes], Coroutine[Any, Any, None]],
) -> int:
    """Pass all rows of a table to `write` in pieces; returns the number of rows."""
    query = f'SELECT {_quoted(names)} FROM "{table}"'  # noqa: S608 - names of tables and columns that Postgres itself lists
    return _count(await connection.copy_from_query(query, output=write, timeout=_COPY_S))


async def copy_in(
    connection: asyncpg.Connection, table: str, names: Sequence[str], pieces: AsyncIterator[bytes]
) -> int:
    """Insert rows that `copy_out` wrote; returns the number of rows."""
    return _count(await connection.copy_to_table(table, columns=names, source=pieces, timeout=_COPY_S))


async def empty(connection: asyncpg.Connection) -> None:
    """Remove every row of every table, also what the triggers keep from being removed."""
    tables = await columns(connection)
    if tables:
        await disable_triggers(connection, tables)
        await connection.execute(f"TRUNCATE {_quoted(list(tables))}")
        await enable_triggers(connection, tables)


async def disable_triggers(connection: asyncpg.Connection, tables: Iterable[str]) -> None:
    """Disable the triggers, which refuse verdicts of closed periods, also those of a backup."""
    for table in tables:
        await connection.execute(f'ALTER TABLE "{table}" DISABLE TRIGGER USER')


async def enable_triggers(connection: asyncpg.Connection, tables: Iterable[str]) -> None:
    """Enable the triggers again."""
    for table in tables:
        await connection.execute(f'ALTER TABLE "{table}" ENABLE TRIGGER USER')


async def set_sequences(connection: asyncpg.Connection, values: Mapping[str, tuple[int, bool]]) -> None:
    """Set every sequence to its value in the backup."""
    for name, (value, is_called) in values.items():
        await connection.execute("SELECT setval($1::text::regclass, $2, $3)", f'"{name}"', value, is_called)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _count(status: str) -> int:
    return int(status.removeprefix("COPY "))
