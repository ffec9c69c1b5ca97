"""Periods whose bill was issued: their terms and their usage never change (B3)."""

from uuid import UUID

import asyncpg

_ISSUED = "corrects_id IS NULL AND issued_at IS NOT NULL AND state NOT IN ('voided', 'void', 'cancelled')"
"""A cancelled bill leaves its period to the bill that replaces it, and a credit note is no bill of its period."""


async def issued_periods(connection: asyncpg.Connection, partner_id: UUID) -> set[int]:
    """The periods that have an issued bill; ask under the lock of the partner's bills."""
    rows = await connection.fetch(f"SELECT period FROM bills WHERE partner_id = $1 AND {_ISSUED}", partner_id)  # noqa: S608 - a constant
    return {row["period"] for row in rows}


async def ever_issued(connection: asyncpg.Connection, partner_id: UUID) -> bool:
    """Whether a bill of the partner was ever issued, also one that was cancelled later."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM bills WHERE partner_id = $1 AND issued_at IS NOT NULL)", partner_id
    )
    return found
