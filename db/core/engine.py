"""Connections to Postgres: one engine per process, made at the root of the process and handed down."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import asyncpg
import msgspec
import sqlalchemy.exc
import sqlalchemy.pool
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from db.core.connection import Connection
from db.core.errors import OUTDATED_CONNECTION, UnusableDatabase
from db.core.pooler import require_own_session
from db.core.settings import Settings

CONNECT_TIMEOUT_S = 10.0

_BY_KEY = {
    "plan_cache_mode": "force_custom_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "max_parallel_workers_per_gather": "0",
}
"""For connections that decide batches: whatever the statistics say, no plan scans a whole table.

For a thousand customers Postgres prefers to scan all of fifty thousand. A cached plan was made for tables as small as
they were then; planning again for each batch costs less than one wrong index. Nor does a batch start processes of the
server for a thousand rows: that takes longer than reading them, and as many cores from who accepts.
"""


def create_engine(
    settings: Settings,
    application_name: str = "leadger",
    pool_size: int | None = None,
    *,
    for_batches: bool = False,
    lock_timeout_s: int = 30,
    most_age_s: int = -1,
    connection_class: type[Connection] = Connection,
) -> AsyncEngine:
    """An engine whose connections are opened by asyncpg itself, so that a pasted URL with `sslmode` works.

    JSONB is read as Python values and written as JSON text. With `for_batches`, statements look up rows by their keys
    only, see `_BY_KEY`. A connection older than `most_age_s` is not used again: one that only reads would never tell
    that its server was replaced, see `_Generations`.
    """
    connect = partial(
        _connect,
        settings.database_url,
        connection_class=connection_class,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=settings.database_command_timeout_s,
        server_settings={"application_name": application_name},
        session={
            "timezone": "UTC",
            "lock_timeout": f"{lock_timeout_s}s",
            **(_BY_KEY if for_batches else {}),
        },
    )
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=pool_size or settings.database_pool_size,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT_S,
        pool_use_lifo=True,
        pool_recycle=most_age_s,
        json_deserializer=msgspec.json.decode,
    )
    generations = _Generations()
    event.listen(engine.sync_engine, "connect", generations.opened)
    event.listen(engine.sync_engine, "checkout", generations.taken)
    return engine


class _Generations:
    """Which connections of an engine may be used again.

    A failover and a migration concern all connections at once. So where one turns out to be outdated, none of those
    that were open then is used again: each would fail once, and those that only read would never tell.
    """

    _KEY = "leadger"

    def __init__(self) -> None:
        self._newest = 0

    def opened(self, _: Any, entry: sqlalchemy.pool.ConnectionPoolEntry) -> None:
        """Remember what generation a new connection is of."""
        entry.info[self._KEY] = (self, self._newest)

    def taken(self, _: Any, entry: sqlalchemy.pool.ConnectionPoolEntry, __: Any) -> None:
        """Refuse a connection of an older generation; SQLAlchemy then opens another one."""
        if entry.info[self._KEY][1] != self._newest:
            raise sqlalchemy.exc.DisconnectionError

    @classmethod
    def of(cls, connection: sqlalchemy.pool.PoolProxiedConnection) -> "_Generations":
        """Those of the engine that opened a connection."""
        generations: _Generations = connection.info[cls._KEY][0]
        return generations

    def begin_next(self) -> None:
        """Use no connection again that is open now."""
        self._newest += 1


async def _connect(url: str, session: Mapping[str, str], **options: Any) -> asyncpg.Connection:
    """Connect; raises ConnectionError where the system or the network refuses, or texts or locks would be damaged.

    The settings of the session are set once it is there: PgBouncer refuses a connection that begins with others than
    the name of the application.
    """
    try:
        connection: asyncpg.Connection = await asyncpg.connect(url, **options)
    except ConnectionError:
        raise
    except OSError as error:
        raise ConnectionError(f"Postgres cannot be reached: {error}") from error
    encoding = connection.get_settings().server_encoding
    if encoding != "UTF8":
        connection.terminate()
        raise UnusableDatabase(
            f"The database is encoded in {encoding}, which cannot hold every name: make one with "
            "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )
    try:
        await require_own_session(connection, partial(asyncpg.connect, url, **options))
        await connection.execute("; ".join(f"SET {name} = '{value}'" for name, value in session.items()))
    except BaseException:
        connection.terminate()
        raise
    return connection


@asynccontextmanager
async def autocommit(engine: AsyncEngine) -> AsyncIterator[asyncpg.Connection]:
    """A connection outside a transaction: every statement is committed when it returns."""
    async with _pooled(engine) as (pooled, raw):
        assert not raw.is_in_transaction()
        try:
            yield raw
        except BaseException:
            await pooled.invalidate()  # the failed statement may have left settings or locks behind
            raise


@asynccontextmanager
async def transaction(engine: AsyncEngine, *, readonly: bool = False) -> AsyncIterator[asyncpg.Connection]:
    """One transaction: committed if the block ends, rolled back if it raises.

    With `readonly`, all statements of the block see the same snapshot.
    """
    async with _pooled(engine) as (pooled, raw):
        begun = False
        try:
            async with raw.transaction(
                isolation="repeatable_read" if readonly else "read_committed", readonly=readonly
            ):
                begun = True
                yield raw
        except BaseException as error:
            # After a failed BEGIN, asyncpg believes for ever that the connection is in a transaction.
            if not begun or raw.is_closed() or raw.is_in_transaction() or isinstance(error, OUTDATED_CONNECTION):
                await pooled.invalidate()
            raise


@asynccontextmanager
async def _pooled(engine: AsyncEngine) -> AsyncIterator[tuple[AsyncConnection, asyncpg.Connection]]:
    """A connection of the pool: SQLAlchemy's and the one of asyncpg inside it."""
    try:
        async with engine.connect() as pooled:
            proxied = await pooled.get_raw_connection()
            raw = proxied.driver_connection
            assert raw is not None
            if raw.is_closed():  # the server closed it while it was idle in the pool
                await pooled.invalidate()
                proxied = await pooled.get_raw_connection()
                raw = proxied.driver_connection
                assert raw is not None
            generations = _Generations.of(proxied)
            try:
                yield pooled, raw
            except OUTDATED_CONNECTION:
                generations.begin_next()
                raise
    except (sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError) as error:
        # Statements bypass SQLAlchemy, so only getting a connection can raise one of its errors.
        raise ConnectionError(f"Postgres gives no connection: {error}") from error


async def commit_asynchronously(connection: asyncpg.Connection) -> None:
    """Let this transaction commit before it is on disk; only if a crash that undoes it leads to its being done again.

    Postgres writes commits in order, so a later durable commit makes this one durable as well.
    """
    await connection.execute("SET LOCAL synchronous_commit = off")
