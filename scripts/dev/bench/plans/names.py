"""What a statement is called: by the function that sends it, or the trigger or foreign key that it belongs to."""

import re
from collections.abc import Mapping

import asyncpg

from scripts.dev.bench.plans.reading import Index

_TABLE = re.compile(r"\b(?:INTO|FROM|JOIN|UPDATE)\s+(\w+)")
_FOREIGN_KEY = re.compile(r'SELECT 1 FROM ONLY "?public"?\."?(\w+)"?')
_OF_THE_DRIVER = ("pg_catalog.", "set_config('jit'", "current_setting('jit')", "pg_type")


class Catalogue:
    """What Postgres knows about itself: the texts of triggers, the indexes and the tables."""

    def __init__(self, triggers: Mapping[str, str], indexes: Mapping[str, Index], sizes: Mapping[str, int]) -> None:
        self._triggers = triggers
        self.indexes = indexes
        self.sizes = sizes
        """About how many rows each table has."""

    def name(self, text: str, senders: Mapping[str, str]) -> str:
        """The name of a statement; empty for what the driver asks for itself."""
        if sender := senders.get(text):
            # Others are names of subqueries.
            table = next((name for name in _TABLE.findall(text) if name in self.sizes), "")
            return f"{sender} · {table}" if table else sender
        if any(word in text for word in _OF_THE_DRIVER):
            return ""
        if found := _FOREIGN_KEY.match(text):
            return f"foreign key to {found[1]}"
        for function, source in self._triggers.items():
            if text in source:
                return f"trigger {function}"
        return text


async def catalogue(connection: asyncpg.Connection) -> Catalogue:
    """Read it."""
    functions = await connection.fetch(
        "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    )
    indexes = await connection.fetch(
        """
        SELECT indexrelid::regclass::text AS name, indrelid::regclass::text AS table, ARRAY(
            SELECT pg_get_indexdef(indexrelid, place, true) FROM generate_series(1, indnkeyatts) AS place ORDER BY place
        ) AS columns, coalesce(pg_get_expr(indpred, indrelid), '') AS of
        FROM pg_index
        """
    )
    sizes = await connection.fetch(
        """
        SELECT relname, reltuples::bigint AS size FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
        """
    )
    return Catalogue(
        {row["proname"]: row["prosrc"] for row in functions},
        {row["name"]: Index(row["table"], tuple(row["columns"]), row["of"]) for row in indexes},
        {row["relname"]: row["size"] for row in sizes},
    )
