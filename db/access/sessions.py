"""Sessions (P2): a person has signed in. They are ended here, and by twelve hours without a request or seven days.

What a session is known by is a random secret, of which only the hash is stored.
"""

import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID, uuid4

import asyncpg

from billing.roles import Role
from db.access import sent_forms
from db.core import locks
from db.core.actor import Actor, ActorKind
from db.core.unit_of_work import Cache, UnitOfWork

_PREFIX = "leadger_session_"


@dataclass(frozen=True, slots=True)
class Account:
    """What a sign-in needs to know of a person: `password_hash` None is nobody's, or nobody's who may sign in."""

    user_id: UUID | None
    name: str
    password_hash: str | None
    knows_browser: bool
    """Whether the person has signed in with this browser before."""


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that has just begun, with the secrets that are nowhere else."""

    id: UUID
    token: str
    browser: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is valid now, and whose it is."""

    id: UUID
    actor: Actor
    role: Role | None
    partner_id: UUID | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that a person may still use; `user_agent` is what the browser calls itself, if that was kept."""

    id: UUID
    user_agent: str | None
    created_at: datetime
    used_at: datetime


NOBODY = Account(None, "", None, False)


async def account_of(connection: asyncpg.Connection, email: str, browser: str) -> Account:
    """The account with an e-mail, and whether the browser with this secret is one of its own; NOBODY if there is none.

    Whoever is deactivated has no password here.
    """
    row = await connection.fetchrow(
        """
        SELECT id, name, CASE WHEN deactivated_at IS NULL THEN password_hash END AS password_hash,
            EXISTS (SELECT FROM sessions WHERE user_id = users.id AND browser_hash = $2) AS knows_browser
        FROM users WHERE email = $1
        """,
        email,
        hash_of(browser),
    )
    return Account(row["id"], row["name"], row["password_hash"], row["knows_browser"]) if row else NOBODY


async def start(
    uow: UnitOfWork, account: Account, browser: str | None, user_agent: str | None = None
) -> NewSession | None:
    """Begin a session, for which the password was right; None if it has changed since, or the account has."""
    assert account.user_id is not None
    if await locks.lock_user_shared(uow.connection, account.user_id) != account.password_hash:
        return None
    session_id, token, browser = uuid4(), _PREFIX + secrets.token_urlsafe(32), browser or secrets.token_urlsafe(32)
    expires_at: datetime = await uow.connection.fetchval(
        """
        INSERT INTO sessions (id, user_id, token_hash, browser_hash, user_agent, expires_at)
        VALUES ($1, $2, $3, $4, $5, clock_timestamp() + interval '7 days') RETURNING expires_at
        """,
        session_id,
        account.user_id,
        hash_of(token),
        hash_of(browser),
        user_agent,
    )
    await uow.audit("session.started", account.user_id, after={"session_id": session_id})
    return NewSession(session_id, token, browser, expires_at)


async def valid_hashes(connection: asyncpg.Connection) -> frozenset[bytes]:
    """The hashes of all sessions that have not ended; one that was idle for too long may be among them."""
    rows = await connection.fetch(
        "SELECT token_hash FROM sessions WHERE ended_at IS NULL AND expires_at > clock_timestamp()"
    )
    return frozenset(row["token_hash"] for row in rows)


async def find_valid(connection: asyncpg.Connection, token: str) -> Session | None:
    """The session with this secret if it is valid now; that it is used is noted once a minute."""
    row = await connection.fetchrow(
        """
        SELECT sessions.id, user_id, name, role, partner_id, expires_at,
            used_at < clock_timestamp() - interval '1 minute' AS is_to_note
        FROM sessions JOIN users ON users.id = user_id
        WHERE token_hash = $1 AND ended_at IS NULL AND deactivated_at IS NULL
            AND expires_at > clock_timestamp() AND used_at > clock_timestamp() - interval '12 hours'
        """,
        hash_of(token),
    )
    if row is None:
        return None
    if row["is_to_note"]:
        with suppress(asyncpg.ReadOnlySQLTransactionError):  # one can read while Postgres takes no writes
            async with connection.transaction():
                await connection.execute("UPDATE sessions SET used_at = clock_timestamp() WHERE id = $1", row["id"])
    return Session(
        id=row["id"],
        actor=Actor(ActorKind.USER, row["user_id"], row["name"]),
        role=Role(row["role"]) if row["role"] else None,
        partner_id=row["partner_id"],
        expires_at=row["expires_at"],
    )


async def open_of(connection: asyncpg.Connection, user_id: UUID, limit: int) -> list[OpenSession]:
    """The sessions that a person may still use, the last used first."""
    rows = await connection.fetch(
        """
        SELECT id, user_agent, created_at, used_at FROM sessions
        WHERE user_id = $1 AND ended_at IS NULL
            AND expires_at > clock_timestamp() AND used_at > clock_timestamp() - interval '12 hours'
        ORDER BY used_at DESC, id LIMIT $2
        """,
        user_id,
        limit,
    )
    return [OpenSession(**row) for row in rows]


async def is_of(connection: asyncpg.Connection, session_id: UUID, user_id: UUID) -> bool:
    """Whether a session is one of a person."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM sessions WHERE id = $1 AND user_id = $2)", session_id, user_id
    )
    return found


async def end(uow: UnitOfWork, cache: Cache, session_id: UUID) -> None:
    """End a session."""
    user_id = await uow.connection.fetchval(
        "UPDATE sessions SET ended_at = clock_timestamp() WHERE id = $1 AND ended_at IS NULL RETURNING user_id",
        session_id,
    )
    if user_id:
        await uow.audit("session.ended", user_id, before={"session_id": session_id})
    uow.after_commit(cache.clear)


async def end_all(uow: UnitOfWork, cache: Cache, user_id: UUID) -> None:
    """End all sessions of a person."""
    rows = await uow.connection.fetch(
        """
        UPDATE sessions SET ended_at = clock_timestamp()
        WHERE user_id = $1 AND ended_at IS NULL AND expires_at > clock_timestamp() RETURNING id
        """,
        user_id,
    )
    if rows:
        await uow.audit("session.ended", user_id, before={"session_ids": [row["id"] for row in rows]})
    uow.after_commit(cache.clear)


async def delete_old(connection: asyncpg.Connection, older_than_days: int, most: int) -> int:
    """Delete sessions that began so long ago, links that are over and forms that were sent; returns how many sessions.

    Until then they tell the browsers of a person.
    """
    await connection.execute("DELETE FROM password_links WHERE expires_at < clock_timestamp()")
    await connection.execute("DELETE FROM set_up_links WHERE expires_at < clock_timestamp()")
    await sent_forms.delete_old(connection)
    status: str = await connection.execute(
        """
        DELETE FROM sessions WHERE id IN (
            SELECT id FROM sessions
            WHERE created_at < clock_timestamp() - make_interval(days => $1) LIMIT $2
        )
        """,
        older_than_days,
        most,
    )
    return int(status.removeprefix("DELETE "))


def hash_of(secret: str) -> bytes:
    """What is stored of a secret, and what is compared: it has 256 random bits, so a plain hash is enough."""
    return sha256(secret.encode("utf-8", "surrogateescape")).digest()
