"""The rules of the rate card (R5)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from billing.texts import text_key


@dataclass(frozen=True, slots=True)
class NewRate:
    """A rule to add. A condition of None is "any", an amount of None ends the override.

    `effective_from` None is the beginning of time, or later if R16 says so.
    """

    partner_id: UUID | None
    product_id: UUID | None
    lead_type: str | None
    action_type: str | None
    engagement_level: str | None
    amount_minor: int | None
    effective_from: datetime | None


@dataclass(frozen=True, slots=True)
class StoredRate:
    """A rule of the card; `partner` and `product` are external ids."""

    id: int
    partner: str | None
    product: str | None
    lead_type: str | None
    action_type: str | None
    engagement_level: str | None
    amount_minor: int | None
    effective_from: datetime | None
    created_at: datetime


_RATES = """
    SELECT rate_rules.*, partners.external_id AS partner, products.external_id AS product
    FROM rate_rules LEFT JOIN partners ON partners.id = rate_rules.partner_id
    LEFT JOIN products ON products.id = rate_rules.product_id
"""


async def read(connection: asyncpg.Connection, rule_id: int) -> StoredRate | None:
    """One rule."""
    row = await connection.fetchrow(f"{_RATES} WHERE rate_rules.id = $1", rule_id)
    return stored_rate_from_row(row) if row else None


async def read_page(connection: asyncpg.Connection, *, after: int, limit: int) -> list[StoredRate]:
    """Rules by id, oldest first."""
    rows = await connection.fetch(f"{_RATES} WHERE rate_rules.id > $1 ORDER BY rate_rules.id LIMIT $2", after, limit)
    return [stored_rate_from_row(row) for row in rows]


def stored_rate_from_row(row: asyncpg.Record) -> StoredRate:
    """A row of rate_rules with external ids."""
    return StoredRate(
        id=row["id"],
        partner=row["partner"],
        product=row["product"],
        lead_type=row["lead_type"],
        action_type=row["action_type"],
        engagement_level=row["engagement_level"],
        amount_minor=row["amount_minor"],
        effective_from=row["effective_from"],
        created_at=row["created_at"],
    )


async def affected_partners(
    connection: asyncpg.Connection, partner_id: UUID | None, product_id: UUID | None
) -> list[UUID]:
    """The partners whose actions a rule for this partner and product can price; empty if the two do not match."""
    rows = await connection.fetch(
        """
        SELECT id FROM partners
        WHERE ($1::uuid IS NULL OR id = $1)
            AND ($2::uuid IS NULL OR id = (SELECT partner_id FROM products WHERE id = $2))
        """,
        partner_id,
        product_id,
    )
    return [row["id"] for row in rows]


async def insert(connection: asyncpg.Connection, rate: NewRate) -> int | None:
    """Store a rule and return its id; None if one with the same conditions and start exists (R5)."""
    rule_id: int | None = await connection.fetchval(
        """
        INSERT INTO rate_rules (
            partner_id, product_id, lead_type, action_type, engagement_level, lead_type_key, action_type_key, level_key,
            amount_minor, effective_from
        ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT DO NOTHING RETURNING id
        """,
        rate.partner_id,
        rate.product_id,
        rate.lead_type,
        rate.action_type,
        rate.engagement_level,
        _key(rate.lead_type),
        _key(rate.action_type),
        _key(rate.engagement_level),
        rate.amount_minor,
        rate.effective_from,
    )
    return rule_id


def _key(text: str | None) -> str | None:
    return None if text is None else text_key(text)
