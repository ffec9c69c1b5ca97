"""What a statement is called: by the function that sends it, or the trigger or foreign key that it belongs to."""

import re
from collections.abc import Mapping

import asyncpg

_TABLE = re.compile(r"\bINTO\s+(\w+)|\b(?:FROM|JOIN|UPDATE)\s+(?!LATERAL\b|added\b|SET\b)(\w+)\b(?!\s*\()")
_FOREIGN_KEY = re.compile(r'SELECT 1 FROM ONLY "?public"?\."?(\w+)"?')
_OF_THE_DRIVER = ("pg_catalog.", "set_config('jit'", "current_setting('jit')", "pg_type")


class Catalogue:
    """What Postgres knows about itself: the texts of triggers, and the table of each index."""

    def __init__(self, triggers: Mapping[str, str], tables: Mapping[str, str], sizes: Mapping[str, int]) -> None:
        self._triggers = triggers
        self.tables = tables
        """The table of each index."""
        self.sizes = sizes
        """About how many rows each table has."""

    def name(self, text: str, senders: Mapping[str, str]) -> str:
        """The name of a statement; empty for what the driver asks for itself."""
        if sender := senders.get(text):
            table = _TABLE.search(text)
            return f"{sender} · {table[1] or table[2]}" if table else sender
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
    indexes = await connection.fetch("SELECT indexname, tablename FROM pg_indexes WHERE schemaname = 'public'")
    sizes = await connection.fetch(
        """
        SELECT relname, reltuples::bigint AS size FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
        """
    )
    return Catalogue(
        {row["proname"]: row["prosrc"] for row in functions},
        {row["indexname"]: row["tablename"] for row in indexes},
        {row["relname"]: row["size"] for row in sizes},
    )
