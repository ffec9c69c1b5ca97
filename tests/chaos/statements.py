"""SQL statements that fail on purpose, with the errors of the real server."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
from asyncpg.cursor import Cursor

_METHODS = ("execute", "fetch", "fetchrow", "fetchval", "copy_records_to_table")
_CURSOR_METHODS = ("_init", "_exec")
_BROKEN = "08006"


@dataclass
class Statements:
    """What was sent. The statement with the number `strike_at` (from 0) fails once, with `sqlstate`."""

    strike_at: int | None = None
    sqlstate: str = ""
    sent: list[str] = field(default_factory=list)
    has_struck: bool = False

    async def before(self, connection: asyncpg.Connection, plain: Callable[..., Any], what: str) -> None:
        """Count a statement and, if its turn has come, let the server raise the error in its place."""
        self.sent.append(what)
        if self.has_struck or len(self.sent) - 1 != self.strike_at:
            return
        self.has_struck = True
        try:
            await plain(connection, f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{self.sqlstate}'; END $$")
        finally:
            if self.sqlstate == _BROKEN:
                connection.terminate()


@contextmanager
def watched(statements: Statements) -> Iterator[None]:
    """Every statement that asyncpg sends during the block, BEGIN, COPY and COMMIT too, passes `statements` first."""
    plain = asyncpg.Connection.execute

    def watching(method: Callable[..., Any]) -> Callable[..., Any]:
        async def call(connection: asyncpg.Connection, *arguments: Any, **options: Any) -> Any:
            await statements.before(connection, plain, str(arguments[0]))
            return await method(connection, *arguments, **options)

        return call

    def watching_cursor(method: Callable[..., Any]) -> Callable[..., Any]:
        async def call(cursor: Any, *arguments: Any) -> Any:
            await statements.before(cursor._connection, plain, f"cursor {method.__name__} {cursor._query}")
            return await method(cursor, *arguments)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in _METHODS:
            patch.setattr(asyncpg.Connection, name, watching(getattr(asyncpg.Connection, name)))
        for name in _CURSOR_METHODS:
            patch.setattr(Cursor, name, watching_cursor(getattr(Cursor, name)))
        yield
