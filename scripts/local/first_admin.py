"""The first Admin of an installation, made by whoever can reach the database."""

import asyncio
import secrets

from db.access import set_up_links, users
from db.access.passwords import hash_password
from db.core.settings import Settings
from scripts.local.first_key import local_unit_of_work

_EMAIL = "admin@leadger.example"


def first_admin(database_url: str) -> tuple[str, str] | None:
    """E-mail and password of a new Admin; None if there is an Admin who can sign in."""
    password = secrets.token_urlsafe(18)
    return (_EMAIL, password) if asyncio.run(_create(database_url, password)) else None


def set_up_link(database_url: str) -> str | None:
    """A link by which a person makes the first Admin in a browser, once; None if there is an Admin who can sign in."""
    return asyncio.run(_make_link(database_url))


async def _create(database_url: str, password: str) -> bool:
    async with local_unit_of_work(database_url, "leadger-up") as uow:
        return await users.create_first_admin(uow, "Admin", _EMAIL, hash_password(password))


async def _make_link(database_url: str) -> str | None:
    base_url = Settings(database_url=database_url, redis_url="redis://unused").api_base_url
    async with local_unit_of_work(database_url, "leadger-migrate") as uow:
        return await set_up_links.make(uow, base_url)
