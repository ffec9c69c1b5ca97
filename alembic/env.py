"""Alembic's entry: connects by DATABASE_URL (or what `db.migrate` hands over) and runs under one advisory lock."""

import asyncio
import os

from alembic import context
from sqlalchemy import Connection, text

from db.engine import create_engine
from db.locks import MIGRATION_LOCK
from db.settings import Settings
from db.tables import metadata


def run(connection: Connection) -> None:
    """Migrate inside one transaction; a second migrating process waits here and then finds nothing to do."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
    context.configure(connection=connection, target_metadata=metadata, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


async def main() -> None:
    """Open one connection and migrate."""
    url = context.config.attributes.get("database_url") or os.environ["DATABASE_URL"]
    engine = create_engine(Settings(database_url=url, redis_url="redis://unused"), "leadger-migrate", pool_size=1)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(run)
    finally:
        await engine.dispose()


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(main())
