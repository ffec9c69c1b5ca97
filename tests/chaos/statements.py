"""SQL statements that fail on purpose, with the errors of the real server."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from asyncpg.cursor import Cursor

_METHODS = ("execute", "fetch", "fetchrow", "fetchval", "copy_records_to_table")
_CURSOR_METHODS = ("_init", "_exec")
_BROKEN = "08006"
_SAVEPOINT_NUMBER = re.compile(r"(?<=asyncpg_savepoint_)\w+?(?=__)")


@dataclass
class Statements:
    """Lets the first statement that is not among the `spared` fail once, with `sqlstate`, and says which it was."""

    sqlstate: str
    spared: list[str]
    struck: str | None = None

    async def before(self, connection: asyncpg.Connection, plain: Callable[..., Any], what: str) -> None:
        """Have the server raise the error instead of this statement, if it is the one to fail."""
        if self.struck is not None or what in self.spared:
            return
        self.struck = what
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
            await statements.before(connection, plain, _SAVEPOINT_NUMBER.sub("N", str(arguments[0])))
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
