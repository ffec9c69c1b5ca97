"""The first API key of an installation, written by whoever can reach the database."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from db.access import api_keys
from db.core.engine import create_engine
from db.core.settings import Settings
from db.core.unit_of_work import UnitOfWork, publish_nothing, unit_of_work
from scripts.local.launcher.home import read_dev_env


def development_key(database_url: str, home: Path) -> str:
    """The development key of a home: the one in its `dev.env` if it is still valid, else a new one with all scopes."""
    return asyncio.run(_development_key(database_url, home))


def first_key(database_url: str, name: str, scopes: Sequence[str]) -> str | None:
    """The first key of an installation; None if there are keys already, for then the API makes more."""
    secret = api_keys.new_secret()
    return secret if create_first_key(database_url, name, scopes, api_keys.hash_of(secret)) else None


def create_first_key(database_url: str, name: str, scopes: Sequence[str], key_hash: bytes) -> bool:
    """Store the first key of an installation, whose secret somebody else made and keeps; False if there are keys."""
    return asyncio.run(_create_first_key(database_url, name, scopes, key_hash))


async def _development_key(database_url: str, home: Path) -> str:
    async with local_unit_of_work(database_url, "leadger-up") as uow:
        known = read_dev_env(home)
        if known and await api_keys.find_valid(uow.connection, known.api_key):
            return known.api_key
        return (await api_keys.create(uow, "development", api_keys.SCOPES)).secret


async def _create_first_key(database_url: str, name: str, scopes: Sequence[str], key_hash: bytes) -> bool:
    async with local_unit_of_work(database_url, "leadger-keys") as uow:
        return await api_keys.create_first(uow, name, scopes, key_hash)


@asynccontextmanager
async def local_unit_of_work(database_url: str, application_name: str) -> AsyncIterator[UnitOfWork]:
    """A unit of work of whoever can reach the database, with a connection of its own."""
    engine = create_engine(
        Settings(database_url=database_url, redis_url="redis://unused"), application_name, pool_size=1
    )
    try:
        async with unit_of_work(engine, publish_nothing) as uow:
            yield uow
    finally:
        await engine.dispose()
