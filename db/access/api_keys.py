"""API keys: stored as hashes, scoped, revocable, rotated with an overlap."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid4

import asyncpg

from billing.errors import RuleViolation
from db.core import locks
from db.core.unit_of_work import Cache, UnitOfWork

SCOPES = ("ingest", "read", "bill", "pricing", "metrics", "admin")
SCOPES_OF_BOUND_KEYS = ("ingest", "read", "bill", "pricing")
_PREFIX = "leadger_"
_BOUND_PREFIX = "leadger_partner_"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A stored key, without its secret."""

    id: UUID
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    partner_id: UUID | None = None
    """The only partner that it sees; None: all."""
    partner: str | None = None
    """The partner's own id."""
    maker_id: UUID | None = None
    """The person who made it, or whose key did, and for whom it stands; None: it was made beside the database."""
    maker: str | None = None
    """The maker's name."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made, with its secret, which is nowhere else: only its hash is stored."""

    id: UUID
    secret: str


async def create(
    uow: UnitOfWork, name: str, scopes: Sequence[str], partner_id: UUID | None = None, *, key_id: UUID | None = None
) -> NewKey:
    """Make a key, or one that is bound to a partner, with an id that whoever asks may have chosen.

    RuleViolation for a bound one with other scopes than those, and for an id that a key has.
    """
    if partner_id and not set(scopes) <= set(SCOPES_OF_BOUND_KEYS):
        *others, last = SCOPES_OF_BOUND_KEYS
        raise RuleViolation(f"A key that is bound to a partner has no scopes but {', '.join(others)} and {last}.")
    made = await _make(uow, name, scopes, partner_id, key_id=key_id or uuid4())
    await uow.audit("key.created", made.id, after={"name": name, "scopes": scopes, "partner_id": partner_id})
    return made


async def create_first(uow: UnitOfWork, name: str, scopes: Sequence[str], key_hash: bytes) -> bool:
    """Store the first key of an installation, of whose secret only the hash is known.

    False if a key can make others, that is, if one with the scope admin is valid for good.
    """
    await locks.lock_api_keys_exclusive(uow.connection)
    if await _admin_keys(uow.connection):
        return False
    key_id = uuid4()
    await _insert(uow.connection, key_id, name, scopes, key_hash)
    await uow.audit("key.created", key_id, after={"name": name, "scopes": scopes})
    return True


async def rotate(uow: UnitOfWork, cache: Cache, key_id: UUID, overlap: timedelta) -> NewKey | None:
    """Make a key with the same name and scopes; the old one stays valid for `overlap`. None if it is not valid now."""
    row = await uow.connection.fetchrow(
        """
        UPDATE api_keys SET expires_at = least(expires_at, clock_timestamp() + $2)
        WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
        RETURNING name, scopes, (SELECT partner_id FROM key_partners WHERE key_id = api_keys.id) AS partner_id
        """,
        key_id,
        overlap,
    )
    if row is None:
        return None
    uow.after_commit(cache.clear)
    made = await _make(uow, row["name"], row["scopes"], row["partner_id"], key_id=uuid4(), replaces=key_id)
    facts = {"name": row["name"], "scopes": row["scopes"], "new_id": made.id, "overlap_s": overlap.total_seconds()}
    await uow.audit("key.rotated", key_id, after=facts)
    return made


async def revoke(uow: UnitOfWork, cache: Cache, key_id: UUID) -> bool:
    """End a key at once; False if there is none that is not revoked yet.

    RuleViolation if it is the last one that can make others: nobody could get in any more.
    """
    await locks.lock_api_keys_exclusive(uow.connection)
    if await _admin_keys(uow.connection) == [key_id]:
        raise RuleViolation(
            "This is the last key with the scope admin that does not expire; make another one before you revoke it."
        )
    row = await uow.connection.fetchrow(
        """
        UPDATE api_keys SET revoked_at = clock_timestamp() WHERE id = $1 AND revoked_at IS NULL RETURNING name, scopes
        """,
        key_id,
    )
    if row is None:
        return False
    await uow.audit("key.revoked", key_id, before={"name": row["name"], "scopes": row["scopes"]})
    uow.after_commit(cache.clear)
    return True


_KEYS = """
    SELECT api_keys.id, api_keys.name, scopes, api_keys.created_at, expires_at, revoked_at, key_partners.partner_id,
        external_id, user_id, users.name AS maker
    FROM api_keys
    LEFT JOIN key_partners ON key_partners.key_id = api_keys.id LEFT JOIN partners ON partners.id = partner_id
    LEFT JOIN key_makers ON key_makers.key_id = api_keys.id LEFT JOIN users ON users.id = user_id
"""


_VALID = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())"


async def find_valid(connection: asyncpg.Connection, secret: str) -> ApiKey | None:
    """The key with this secret if it is valid now."""
    row = await connection.fetchrow(
        f"{_KEYS} WHERE key_hash = $1 AND {_VALID}",
        hash_of(secret),
    )
    return _key_from_row(row) if row else None


async def valid_hashes(connection: asyncpg.Connection) -> frozenset[bytes]:
    """The hashes of all keys that are valid now."""
    rows = await connection.fetch(f"SELECT key_hash FROM api_keys WHERE {_VALID}")  # noqa: S608 - a constant
    return frozenset(row["key_hash"] for row in rows)


async def list_all(connection: asyncpg.Connection) -> list[ApiKey]:
    """All keys, newest first."""
    rows = await connection.fetch(f"{_KEYS} ORDER BY api_keys.created_at DESC, id")
    return [_key_from_row(row) for row in rows]


def new_secret(prefix: str = _PREFIX) -> str:
    """256 random bits, so that a plain hash is enough and nothing can be guessed from it."""
    return prefix + secrets.token_urlsafe(32)


def hash_of(secret: str) -> bytes:
    """What is stored of a secret.

    That of a bound key is another one than the plain hash by which a release looks for it that knows no bound keys and
    would take it for a key that sees everything.
    """
    bound = b"bound to a partner: " if secret.startswith(_BOUND_PREFIX) else b""
    return sha256(bound + secret.encode("utf-8", "surrogateescape")).digest()


async def _admin_keys(connection: asyncpg.Connection) -> list[UUID]:
    """The keys that can make others and do not expire."""
    rows = await connection.fetch(
        "SELECT id FROM api_keys WHERE 'admin' = ANY(scopes) AND revoked_at IS NULL AND expires_at IS NULL"
    )
    return [row["id"] for row in rows]


async def _make(
    uow: UnitOfWork,
    name: str,
    scopes: Sequence[str],
    partner_id: UUID | None,
    *,
    key_id: UUID,
    replaces: UUID | None = None,
) -> NewKey:
    """Store a key. It stands for the person who makes it, or else for whom the key stands that makes it or it replaces.

    Whoever replaces somebody's key has its secret, and so it stands for them.
    """
    connection = uow.connection
    secret = new_secret(_BOUND_PREFIX if partner_id else _PREFIX)
    if not await _insert(connection, key_id, name, scopes, hash_of(secret)):
        raise RuleViolation(
            "This key is made already, and its secret was shown then; if you missed it, rotate the key."
        )
    if partner_id:
        await connection.execute("INSERT INTO key_partners (key_id, partner_id) VALUES ($1, $2)", key_id, partner_id)
    await connection.execute(
        """
        INSERT INTO key_makers (key_id, user_id)
        SELECT $1, user_id FROM (
            SELECT id AS user_id, 1 AS place FROM users WHERE id = $2
            UNION ALL SELECT user_id, 2 FROM key_makers WHERE key_id = $2
            UNION ALL SELECT user_id, 3 FROM key_makers WHERE key_id = $3
        ) AS possible ORDER BY place LIMIT 1
        """,
        key_id,
        uow.actor.id,
        replaces,
    )
    return NewKey(key_id, secret)


async def _insert(
    connection: asyncpg.Connection, key_id: UUID, name: str, scopes: Sequence[str], key_hash: bytes
) -> bool:
    """Store a key; False if there is one with this id."""
    status: str = await connection.execute(
        "INSERT INTO api_keys (id, name, key_hash, scopes) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING",
        key_id,
        name,
        key_hash,
        list(scopes),
    )
    return status.endswith(" 1")


def _key_from_row(row: asyncpg.Record) -> ApiKey:
    return ApiKey(
        id=row["id"],
        name=row["name"],
        scopes=tuple(row["scopes"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        partner_id=row["partner_id"],
        partner=row["external_id"],
        maker_id=row["user_id"],
        maker=row["maker"],
    )
