"""API keys: stored as hashes, scoped, revocable, rotated with an overlap."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from uuid import UUID, uuid4

import asyncpg

SCOPES = ("ingest", "read", "bill", "metrics", "admin")
_PREFIX = "leadger_"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A valid key."""

    id: UUID
    name: str
    scopes: tuple[str, ...]


async def create(connection: asyncpg.Connection, name: str, scopes: Sequence[str]) -> tuple[UUID, str]:
    """A new key; returns its id and the secret, which is nowhere else: only its hash is stored."""
    secret = new_secret()
    return await admit(connection, name, scopes, hash_of(secret)), secret


async def admit(connection: asyncpg.Connection, name: str, scopes: Sequence[str], key_hash: bytes) -> UUID:
    """A new key whose secret somebody else made and keeps; returns its id."""
    key_id = uuid4()
    await connection.execute(
        "INSERT INTO api_keys (id, name, key_hash, scopes) VALUES ($1, $2, $3, $4)",
        key_id,
        name,
        key_hash,
        list(scopes),
    )
    return key_id


async def find(connection: asyncpg.Connection, secret: str) -> ApiKey | None:
    """The key if it is valid now."""
    row = await connection.fetchrow(
        """
        SELECT id, name, scopes FROM api_keys
        WHERE key_hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
        """,
        hash_of(secret),
    )
    return ApiKey(row["id"], row["name"], tuple(row["scopes"])) if row else None


async def rotate(connection: asyncpg.Connection, key_id: UUID, overlap: timedelta) -> tuple[UUID, str] | None:
    """A new key with the same name and scopes; the old one lives on for `overlap`. None if the old one is not valid."""
    row = await connection.fetchrow(
        """
        UPDATE api_keys SET expires_at = least(expires_at, clock_timestamp() + $2)
        WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
        RETURNING name, scopes
        """,
        key_id,
        overlap,
    )
    return await create(connection, row["name"], row["scopes"]) if row else None


async def revoke(connection: asyncpg.Connection, key_id: UUID) -> bool:
    """End a key at once; False if there is no such key that still lives."""
    status: str = await connection.execute(
        "UPDATE api_keys SET revoked_at = clock_timestamp() WHERE id = $1 AND revoked_at IS NULL", key_id
    )
    return status != "UPDATE 0"


async def page(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    """All keys, newest first, without their secrets."""
    return await connection.fetch(
        "SELECT id, name, scopes, created_at, expires_at, revoked_at FROM api_keys ORDER BY created_at DESC, id"
    )


async def count(connection: asyncpg.Connection) -> int:
    """How many keys there ever were."""
    number: int = await connection.fetchval("SELECT count(*) FROM api_keys")
    return number


def new_secret() -> str:
    """256 random bits, so that a plain hash is enough and nothing can be guessed from it."""
    return _PREFIX + secrets.token_urlsafe(32)


def hash_of(secret: str) -> bytes:
    """What is stored of a secret."""
    return sha256(secret.encode("utf-8", "surrogateescape")).digest()
