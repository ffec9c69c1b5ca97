"""The first Admin of an installation, made by whoever can reach the database."""

import asyncio
import secrets

from db.access import users
from db.access.passwords import hash_password
from scripts.local.first_key import local_unit_of_work

_EMAIL = "admin@leadger.example"


def first_admin(database_url: str) -> tuple[str, str] | None:
    """E-mail and password of a new Admin; None if there is an Admin who can sign in."""
    password = secrets.token_urlsafe(18)
    return (_EMAIL, password) if asyncio.run(_create(database_url, password)) else None


async def _create(database_url: str, password: str) -> bool:
    async with local_unit_of_work(database_url, "leadger-up") as uow:
        return await users.create_first_admin(uow, "Admin", _EMAIL, hash_password(password))
