"""A pooler between us and Postgres: in session mode it is none of our business, in transaction mode it breaks us.

There, settings, advisory locks and prepared statements of one connection are those of whoever comes next.
"""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg

from db.core.errors import UnusableDatabase

_ANSWER_S = 2.0
_LOOKS = 3

_OTHER_SESSION = (asyncpg.exceptions.DuplicatePreparedStatementError, asyncpg.exceptions.InvalidSQLStatementNameError)
"""Statements that were prepared on this connection are not there, or those of another one are."""


async def require_own_session(
    connection: asyncpg.Connection, open_another: Callable[[], Awaitable[asyncpg.Connection]]
) -> None:
    """Raise UnusableDatabase if the server gives one session to several connections at a time.

    Without a pooler this is one query: a pooler answers for the server, so it cannot name the right process at first.
    """
    try:
        shared = await _is_pooled(connection) and await _shares_its_session(connection, open_another)
    except _OTHER_SESSION:
        shared = True
    if shared:
        raise UnusableDatabase(
            "DATABASE_URL leads to a pooler in transaction mode, where locks and settings of one connection become "
            "another's: set pool_mode = session in PgBouncer, or give the URL of Postgres itself"
        )


async def _is_pooled(connection: asyncpg.Connection) -> bool:
    return connection.get_server_pid() != await _process(connection)


async def _shares_its_session(
    connection: asyncpg.Connection, open_another: Callable[[], Awaitable[asyncpg.Connection]]
) -> bool:
    """Whether a second connection gets the session of an idle one, or keeps it from getting its own back."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            other = await open_another()
    except (OSError, asyncpg.PostgresError):
        return False  # in session mode there may be no second one
    try:
        async with asyncio.timeout(_ANSWER_S):
            own = await _process(connection)
            for _ in range(_LOOKS):
                if await _process(other) == own:
                    return True
                async with other.transaction():
                    if await _process(other) == own or await _process(connection) != own:
                        return True
        return False
    except TimeoutError:
        return False  # in session mode the second one waits for its session
    finally:
        other.terminate()


async def _process(connection: asyncpg.Connection) -> int:
    """The process of Postgres that serves a statement of this connection."""
    process: int = await connection.fetchval("SELECT pg_backend_pid()")
    return process
