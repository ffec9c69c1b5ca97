"""Links by which a person sets a password once: invitations, and for a password that was forgotten."""

import secrets
from datetime import timedelta
from uuid import UUID

import asyncpg

from db.access import users
from db.access.sessions import hash_of
from db.access.users import User
from db.core.unit_of_work import Cache, UnitOfWork

MAILED_FOR, GIVEN_FOR = timedelta(hours=1), timedelta(days=7)
"""How long a link lives that a person asked for by mail, and one that an Admin hands over."""


async def make(uow: UnitOfWork, user_id: UUID, valid_for: timedelta, base_url: str) -> str:
    """The URL of a new link; only its hash is stored."""
    token = secrets.token_urlsafe(32)
    await uow.connection.execute(
        """
        INSERT INTO password_links (token_hash, user_id, expires_at) VALUES ($1, $2, clock_timestamp() + $3::interval)
        """,
        hash_of(token),
        user_id,
        valid_for,
    )
    await uow.audit("user.link_made", user_id, after={"valid_for_s": valid_for.total_seconds()})
    return f"{base_url}/password?token={token}"


async def user_of(connection: asyncpg.Connection, token: str) -> User | None:
    """The person whose link it is; None if it was used or is too old, or the person may not sign in."""
    user_id = await connection.fetchval(
        """
        SELECT user_id FROM password_links JOIN users ON id = user_id
        WHERE token_hash = $1 AND expires_at > clock_timestamp() AND deactivated_at IS NULL
        """,
        hash_of(token),
    )
    return await users.read(connection, user_id) if user_id else None


async def use(uow: UnitOfWork, cache: Cache, user_id: UUID, token: str, password_hash: str) -> bool:
    """Set the password of the person by their link; False if it was used meanwhile."""
    used = await uow.connection.fetchval(
        "DELETE FROM password_links WHERE token_hash = $1 AND user_id = $2 RETURNING true", hash_of(token), user_id
    )
    if used:
        await users.set_password(uow, cache, user_id, password_hash)
    return bool(used)
