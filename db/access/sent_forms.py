"""Forms of pages that were sent, so that the same one sent again is not done again."""

from dataclasses import dataclass
from datetime import timedelta

import asyncpg

GIVEN_UP_AFTER = timedelta(minutes=1)
"""Whoever has not said for so long where a form led has ended while it was at work."""
KEPT = timedelta(days=8)
"""Longer than a session lasts, by whose secret a form is known."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Whether the caller is to do what a form asks for; else where it led, empty while somebody is still at it."""

    is_mine: bool
    led_to: str = ""


async def claim(connection: asyncpg.Connection, digest: bytes) -> Claim:
    """Claim a form by the digest of what was sent; of many who try at once one gets it."""
    is_mine = await connection.fetchval(
        """
        INSERT INTO sent_forms AS sent (digest) VALUES ($1)
        ON CONFLICT (digest) DO UPDATE SET at = clock_timestamp()
        WHERE sent.led_to = '' AND sent.at < clock_timestamp() - $2::interval RETURNING true
        """,
        digest,
        GIVEN_UP_AFTER,
    )
    if is_mine:
        return Claim(is_mine=True)
    return Claim(
        is_mine=False,
        led_to=await connection.fetchval("SELECT led_to FROM sent_forms WHERE digest = $1", digest) or "",
    )


async def finish(connection: asyncpg.Connection, digest: bytes, led_to: str) -> None:
    """What the form asked for is done; whoever sends it again is led there."""
    await connection.execute("UPDATE sent_forms SET led_to = $2 WHERE digest = $1", digest, led_to)


async def release(connection: asyncpg.Connection, digest: bytes) -> None:
    """It was refused or changes nothing, so it may be sent again."""
    await connection.execute("DELETE FROM sent_forms WHERE digest = $1", digest)


async def delete_old(connection: asyncpg.Connection) -> None:
    """Delete those of sessions that are over."""
    await connection.execute("DELETE FROM sent_forms WHERE at < clock_timestamp() - $1::interval", KEPT)
