"""P1 on two connections: one Admin stays, a link works once, an e-mail has one account."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.errors import RuleViolation
from billing.roles import Role
from db.access import password_links, users
from db.access.users import User
from db.core import locks
from db.core.engine import transaction
from db.core.unit_of_work import publish_nothing, unit_of_work
from tests.db.access.test_api_keys import CountingCache
from tests.people import new_person


async def change(
    engine: AsyncEngine, user: User, by: User, before_commit: Callable[[], Awaitable[object]], **wanted: Any
) -> str:
    """What comes of a change that waits before it commits."""
    try:
        async with unit_of_work(engine, publish_nothing) as uow:
            await users.change(uow, CountingCache(), user.id, wanted, by=by.id)
            await before_commit()
    except RuleViolation as refusal:
        return str(refusal)
    return "changed"


async def admins_after_two_dismissed_each_other(
    engine: AsyncEngine, before_commit: Callable[[], Awaitable[object]]
) -> tuple[list[str], int]:
    """What came of it, and how many Admins are left."""
    ada, bob = [await new_person(engine, name, Role.ADMIN) for name in ("ada", "bob")]
    outcomes = await asyncio.gather(
        change(engine, bob, ada, before_commit, role=None, partner_id=None),
        change(engine, ada, bob, before_commit, is_active=False),
    )
    async with transaction(engine, readonly=True) as connection:
        found = [await users.read(connection, user.id) for user in (ada, bob)]
    return sorted(outcomes), [user.role is Role.ADMIN and user.is_active for user in found if user].count(True)


async def test_p1_two_admins_who_dismiss_each_other_at_once_leave_one(engine: AsyncEngine) -> None:
    refusal = "This is the last Admin who can sign in; make another one first."
    assert await admins_after_two_dismissed_each_other(engine, partial(asyncio.sleep, 0.1)) == ([refusal, "changed"], 1)


async def test_p1_without_the_lock_of_users_no_admin_is_left(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_lock(*_: object) -> None:
        return

    monkeypatch.setattr(locks, "lock_users_exclusive", no_lock)
    both = asyncio.Barrier(2)
    assert await admins_after_two_dismissed_each_other(engine, both.wait) == (["changed", "changed"], 0)


async def test_p1_a_link_that_is_used_twice_at_once_works_once(engine: AsyncEngine) -> None:
    fin = await new_person(engine, "fin", Role.FINANCE)
    async with unit_of_work(engine, publish_nothing) as uow:
        url = await password_links.make(uow, fin.id, timedelta(hours=1), "http://leadger")
    token = parse_qs(urlsplit(url).query)["token"][0]

    async def use(password_hash: str) -> bool:
        async with unit_of_work(engine, publish_nothing) as uow:
            used = await password_links.use(uow, CountingCache(), fin.id, token, password_hash)
            await asyncio.sleep(0.1)
            return used

    used = await asyncio.gather(use("0"), use("1"))
    assert sorted(used) == [False, True]
    async with transaction(engine, readonly=True) as connection:
        assert await users.password_hash_of(connection, fin.id) == str(used.index(True))


async def test_p1_of_two_sign_ups_at_once_with_an_e_mail_one_gets_the_account(engine: AsyncEngine) -> None:
    async def sign_up(name: str) -> str:
        try:
            async with unit_of_work(engine, publish_nothing) as uow:
                await users.sign_up(uow, uuid4(), name, "eve@example.com", "hash")
                await asyncio.sleep(0.1)
        except RuleViolation:
            return "refused"
        return "made"

    assert sorted(await asyncio.gather(sign_up("Eve"), sign_up("Mallory"))) == ["made", "refused"]
