"""The first release's own code and database, as `tests/fixtures/first_release` keeps them."""

import asyncio
import secrets
import tarfile
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import asyncpg

FOLDER = Path(__file__).parent.parent / "fixtures/first_release"
_SCOPES = ["ingest", "read", "bill", "metrics", "admin"]


def unpack_code(folder: Path) -> Path:
    """The folder to start its processes in."""
    with tarfile.open(FOLDER / "code.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


def restore_database(url: str) -> str:
    """Fill an empty database; returns an API key for everything."""
    return asyncio.run(_restore(url))


async def _restore(url: str) -> str:
    key = f"leadger_{secrets.token_urlsafe(32)}"
    connection = await asyncpg.connect(url)
    try:
        await connection.execute((FOLDER / "database.sql").read_text())
        # By its own columns: this release's may be others.
        await connection.execute(
            "INSERT INTO public.api_keys (id, name, key_hash, scopes) VALUES ($1, 'upgrade', $2, $3)",
            uuid4(),
            sha256(key.encode()).digest(),
            _SCOPES,
        )
    finally:
        await connection.close()
    return key
