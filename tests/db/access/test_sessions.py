"""P2 on two connections: no session that began with the old password outlives the new one."""

import asyncio
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.roles import Role
from db.access import sessions, users
from db.core import locks
from db.core.engine import transaction
from db.core.unit_of_work import publish_nothing, unit_of_work
from tests.db.access.test_api_keys import CountingCache
from tests.people import new_person, password_hash


async def test_p2_a_sign_in_beside_a_new_password_leaves_no_session(engine: AsyncEngine) -> None:
    fin = await new_person(engine, "fin", Role.FINANCE)
    async with transaction(engine, readonly=True) as connection:
        account = await sessions.account_of(connection, fin.email, "")
    assert account.password_hash == password_hash()

    async def change_password() -> None:
        async with unit_of_work(engine, publish_nothing) as uow:
            await users.set_password(uow, CountingCache(), fin.id, "another")

    async with unit_of_work(engine, publish_nothing) as uow:
        started = await sessions.start(uow, account, None)  # the password was right a moment ago
        changing = asyncio.create_task(change_password())
        await asyncio.sleep(0.2)
        assert not changing.done()
    await changing
    assert started is not None
    async with transaction(engine) as connection:
        assert await sessions.find_valid(connection, started.token) is None
    async with unit_of_work(engine, publish_nothing) as uow:
        assert await sessions.start(uow, account, None) is None


async def test_p2_without_the_lock_of_the_person_a_session_outlives_the_password_that_began_it(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_lock(connection: asyncpg.Connection, user_id: UUID) -> object:
        return await connection.fetchval("SELECT password_hash FROM users WHERE id = $1", user_id)

    monkeypatch.setattr(locks, "lock_user_shared", no_lock)
    fin = await new_person(engine, "fin", Role.FINANCE)
    async with transaction(engine, readonly=True) as connection:
        account = await sessions.account_of(connection, fin.email, "")
    async with unit_of_work(engine, publish_nothing) as signing_in:
        started = await sessions.start(signing_in, account, None)
        async with unit_of_work(engine, publish_nothing) as uow:
            await users.set_password(uow, CountingCache(), fin.id, "another")
    assert started is not None
    async with transaction(engine) as connection:
        assert await sessions.find_valid(connection, started.token) is not None


async def test_old_sessions_and_links_are_deleted(engine: AsyncEngine) -> None:
    fin = await new_person(engine, "fin", Role.FINANCE)
    async with transaction(engine, readonly=True) as connection:
        account = await sessions.account_of(connection, fin.email, "")
    async with unit_of_work(engine, publish_nothing) as uow:
        old, new = [await sessions.start(uow, account, None) for _ in range(2)]
        assert old is not None
        assert new is not None
        await uow.connection.execute(
            "UPDATE sessions SET created_at = created_at - interval '181 days' WHERE id = $1", old.id
        )
    async with transaction(engine) as connection:
        assert await sessions.delete_old(connection, 180, 10) == 1
        assert await connection.fetchval("SELECT id FROM sessions") == new.id
