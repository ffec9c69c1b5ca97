"""API keys in the database: one first key, and caches that are cleared once a change is committed."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.errors import RuleViolation
from db.access import api_keys
from db.access.api_keys import ApiKey
from db.core.engine import transaction
from db.core.unit_of_work import UnitOfWork, publish_nothing, unit_of_work
from tests.keys import new_key


class CountingCache:
    """A cache that counts how often it was cleared."""

    def __init__(self) -> None:
        self.cleared = 0

    def clear(self) -> None:
        self.cleared += 1


async def valid_key(engine: AsyncEngine, secret: str) -> ApiKey:
    async with transaction(engine, readonly=True) as connection:
        key = await api_keys.find_valid(connection, secret)
    assert key is not None
    return key


async def create_first(engine: AsyncEngine, name: str) -> bool:
    async with unit_of_work(engine, publish_nothing) as uow:
        return await api_keys.create_first(uow, name, ["admin"], api_keys.hash_of(name))


async def test_of_two_first_keys_at_once_only_one_is_stored(engine: AsyncEngine) -> None:
    stored = await asyncio.gather(*(create_first(engine, f"key {number}") for number in range(5)))
    assert sorted(stored) == [False, False, False, False, True]
    async with transaction(engine, readonly=True) as connection:
        assert [key.name for key in await api_keys.list_all(connection)] == [f"key {stored.index(True)}"]


async def test_of_the_last_two_admin_keys_only_one_can_be_revoked(engine: AsyncEngine) -> None:
    first, second = [await valid_key(engine, await new_key(engine)) for _ in range(2)]

    async def revoke(key: ApiKey) -> None:
        async with unit_of_work(engine, publish_nothing) as uow:
            assert await api_keys.revoke(uow, CountingCache(), key.id)

    async with unit_of_work(engine, publish_nothing) as uow:
        assert await api_keys.revoke(uow, CountingCache(), first.id)
        other = asyncio.create_task(revoke(second))
        done, _ = await asyncio.wait([other], timeout=0.5)
        assert not done, "it waits until the first one has ended"
    refusal = "This is the last key with the scope admin that does not expire; make another one before you revoke it."
    with pytest.raises(RuleViolation, match=refusal):
        await other
    async with transaction(engine, readonly=True) as connection:
        assert [key.revoked_at is None for key in await api_keys.list_all(connection)].count(True) == 1


async def test_where_no_admin_key_is_left_there_is_a_first_one_again(engine: AsyncEngine) -> None:
    assert await create_first(engine, "first")
    assert not await create_first(engine, "second")
    async with transaction(engine) as connection:  # as a release before 0.3 let it be revoked
        await connection.execute("UPDATE api_keys SET revoked_at = clock_timestamp()")
    assert await create_first(engine, "third")


async def rotate(uow: UnitOfWork, cache: CountingCache, key_id: UUID) -> bool:
    return await api_keys.rotate(uow, cache, key_id, timedelta(hours=1)) is not None


@pytest.mark.parametrize("change", [rotate, api_keys.revoke])
async def test_a_cache_is_cleared_only_when_a_change_is_committed(
    engine: AsyncEngine, change: Callable[[UnitOfWork, CountingCache, UUID], Awaitable[bool]]
) -> None:
    await new_key(engine, "another")
    key = await valid_key(engine, await new_key(engine))
    cache = CountingCache()
    with suppress(ZeroDivisionError):
        async with unit_of_work(engine, publish_nothing) as uow:
            assert await change(uow, cache, key.id)
            raise ZeroDivisionError
    assert cache.cleared == 0
    async with unit_of_work(engine, publish_nothing) as uow:
        assert await change(uow, cache, key.id)
        assert not await change(uow, cache, uuid4())
        assert cache.cleared == 0
    assert cache.cleared == 1
