"""The first API key of an installation, written by whoever can reach the database."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from db.access import api_keys
from db.core.engine import create_engine, transaction
from db.core.locks import lock_api_keys_exclusive
from db.core.settings import Settings
from scripts.local.launcher.home import read_dev_env


def development_key(database_url: str, home: Path) -> str:
    """The development key of a home: the one in its `dev.env` if it is still valid, else a new one with all scopes."""
    return asyncio.run(_development_key(database_url, home))


def first_key(database_url: str, name: str, scopes: Sequence[str]) -> str | None:
    """The first key of an installation; None if there are keys already, for then the API makes more."""
    secret = api_keys.new_secret()
    return secret if admit_first_key(database_url, name, scopes, api_keys.hash_of(secret)) else None


def admit_first_key(database_url: str, name: str, scopes: Sequence[str], key_hash: bytes) -> bool:
    """As `first_key`, for a secret that somebody else made and keeps."""
    return asyncio.run(_admit_first_key(database_url, name, scopes, key_hash))


async def _development_key(database_url: str, home: Path) -> str:
    engine = create_engine(Settings(database_url=database_url, redis_url="redis://unused"), "leadger-up", pool_size=1)
    try:
        async with transaction(engine) as connection:
            known = read_dev_env(home)
            if known and await api_keys.find(connection, known.api_key):
                return known.api_key
            return (await api_keys.create(connection, "development", api_keys.SCOPES))[1]
    finally:
        await engine.dispose()


async def _admit_first_key(database_url: str, name: str, scopes: Sequence[str], key_hash: bytes) -> bool:
    engine = create_engine(Settings(database_url=database_url, redis_url="redis://unused"), "leadger-keys", pool_size=1)
    try:
        async with transaction(engine) as connection:
            await lock_api_keys_exclusive(connection)
            if await api_keys.count(connection):
                return False
            await api_keys.admit(connection, name, scopes, key_hash)
            return True
    finally:
        await engine.dispose()
