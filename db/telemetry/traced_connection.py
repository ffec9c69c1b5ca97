"""A connection whose statements are spans, if there is a trace they belong to."""

import re
from collections.abc import Awaitable, Callable
from functools import lru_cache, wraps
from typing import Any

import asyncpg

from db.telemetry import tracing

_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE|COPY)\s+(?:ONLY\s+)?([a-z_]+)\b(?!\()")

Method = Callable[..., Awaitable[Any]]


def _traced(method: Method, before: str = "") -> Any:
    @wraps(method)
    async def call(connection: asyncpg.Connection, statement: str, *arguments: Any, **options: Any) -> Any:
        here = tracing.here()
        if here is None or not here.is_recording():
            return await method(connection, statement, *arguments, **options)
        # Values are always parameters, so the text says nothing about anybody.
        text = before + statement
        attributes = {"db.system.name": "postgresql", "db.query.text": text}
        with tracing.span(_summary(text), "CLIENT", attributes):
            return await method(connection, statement, *arguments, **options)

    return call


class TracedConnection(asyncpg.Connection):
    """What `asyncpg.connect` makes if traces are on; a statement outside a trace is none of its business."""

    execute = _traced(asyncpg.Connection.execute)
    executemany = _traced(asyncpg.Connection.executemany)
    fetch = _traced(asyncpg.Connection.fetch)
    fetchrow = _traced(asyncpg.Connection.fetchrow)
    fetchval = _traced(asyncpg.Connection.fetchval)
    copy_records_to_table = _traced(asyncpg.Connection.copy_records_to_table, "COPY ")


def connection_class() -> type[asyncpg.Connection]:
    """The class of connections for this process: with spans if traces are on."""
    return TracedConnection if tracing.are_on() else asyncpg.Connection


@lru_cache(maxsize=1000)
def _summary(statement: str) -> str:
    """The first word and the first table: `SELECT inbox`."""
    words = statement.split(maxsplit=1)
    table = _TABLE.search(statement)
    operation = words[0].rstrip(";") if words else "statement"
    return f"{operation} {table[1]}" if table else operation
