"""Alembic's entry: connects by DATABASE_URL (or what `db.core.migrate` hands over); one process migrates at a time."""

import asyncio
import os

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from db.core.engine import create_engine
from db.core.locks import lock_schema_exclusive
from db.core.settings import Settings
from db.core.tables import metadata

_LONGEST_STATEMENT_S = 86_400.0  # an index of a large table is built for as long as it takes
_GAVE_WAY = ("55P03", "40P01")  # lock not available, deadlock detected
_TRIES = 1_000  # on a busy machine a hundred were not enough
_PAUSE_S = 0.3


def run(connection: Connection) -> None:
    """Each migration is a transaction of its own: no lock is held for the next one, and some need to run outside."""
    context.configure(
        connection=connection, target_metadata=metadata, compare_type=True, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_until_locked(connection: AsyncConnection) -> None:
    """Try again when a migration did not get its locks soon: giving up, it let those pass who queued behind it.

    Its `lock_timeout` is less than the second after which Postgres ends one of those who wait for each other, so that
    it is the migration that gives way, and never a request.
    """
    for _ in range(_TRIES - 1):
        try:
            await connection.run_sync(run)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in _GAVE_WAY:
                raise
            await connection.rollback()
            await asyncio.sleep(_PAUSE_S)
        else:
            return
    await connection.run_sync(run)


async def main() -> None:
    """Open one connection and migrate; the advisory lock ends with the connection."""
    url = context.config.attributes.get("database_url") or os.environ["DATABASE_URL"]
    settings = Settings(database_url=url, redis_url="redis://unused", database_command_timeout_s=_LONGEST_STATEMENT_S)
    engine = create_engine(settings, "leadger-migrate", pool_size=1)
    try:
        async with engine.connect() as connection:
            raw = (await connection.get_raw_connection()).driver_connection
            assert raw is not None
            await lock_schema_exclusive(raw)
            await run_until_locked(connection)
    finally:
        await engine.dispose()


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(main())
