"""Links by which whoever reads the log of a new installation makes its first Admin, once."""

import secrets
from datetime import timedelta

import asyncpg

from db.access import users
from db.access.sessions import hash_of
from db.core.unit_of_work import UnitOfWork

VALID_FOR = timedelta(days=1)


async def make(uow: UnitOfWork, base_url: str) -> str | None:
    """The URL of a new link, in place of all before it; None where there is an Admin who can sign in."""
    if await users.has_admin(uow.connection):
        return None
    token = secrets.token_urlsafe(32)
    await delete_all(uow.connection)
    await uow.connection.execute(
        "INSERT INTO set_up_links (token_hash, expires_at) VALUES ($1, clock_timestamp() + $2::interval)",
        hash_of(token),
        VALID_FOR,
    )
    return f"{base_url}/welcome?token={token}"


async def is_valid(connection: asyncpg.Connection, token: str) -> bool:
    """Whether a link can be used."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM set_up_links WHERE token_hash = $1 AND expires_at > clock_timestamp())",
        hash_of(token),
    )
    return found


async def delete_all(connection: asyncpg.Connection) -> None:
    """Delete all links, once there is an Admin or a newer link."""
    await connection.execute("DELETE FROM set_up_links")
