"""A connection whose statements become spans of the current trace."""

import re
from collections.abc import Awaitable, Callable
from functools import lru_cache, wraps
from typing import Any

import asyncpg

from db.core.connection import Connection
from db.telemetry import tracing

_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE|COPY)\s+(?:ONLY\s+)?([a-z_]+)\b(?!\()")

Method = Callable[..., Awaitable[Any]]


def _traced(method: Method, prefix: str = "") -> Any:
    @wraps(method)
    async def call(connection: asyncpg.Connection, statement: str, *arguments: Any, **options: Any) -> Any:
        span = tracing.current_span()
        if span is None or not span.is_recording():
            return await method(connection, statement, *arguments, **options)
        # Values are always parameters, so the text holds no personal data.
        text = prefix + statement
        attributes = {"db.system.name": "postgresql", "db.query.text": text}
        with tracing.span(span_name(text), "CLIENT", attributes):
            return await method(connection, statement, *arguments, **options)

    return call


class TracedConnection(Connection):
    """The connection that `asyncpg.connect` makes if tracing is on; statements outside a trace make no span."""

    execute = _traced(Connection.execute)
    executemany = _traced(Connection.executemany)
    fetch = _traced(Connection.fetch)
    fetchrow = _traced(Connection.fetchrow)
    fetchval = _traced(Connection.fetchval)
    copy_records_to_table = _traced(Connection.copy_records_to_table, "COPY ")


def connection_class() -> type[Connection]:
    """The class of connections for this process: with spans if tracing is on."""
    return TracedConnection if tracing.is_on() else Connection


@lru_cache(maxsize=1000)
def span_name(statement: str) -> str:
    """The first word and the first table: `SELECT inbox`."""
    words = statement.split(maxsplit=1)
    table = _TABLE.search(statement)
    operation = words[0].rstrip(";") if words else "statement"
    return f"{operation} {table[1]}" if table else operation
