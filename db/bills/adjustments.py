"""Adjustments: amounts that Finance adds to or takes off a period, whatever becomes of its bill (B2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID, uuid4

import asyncpg

from billing.bills.lines import Adjustment
from billing.bills.values import LineTax
from billing.contracts.tax import TaxCategory
from db.core.actor import Actor, actor_from_row


@dataclass(frozen=True, slots=True)
class AdjustmentEntry:
    """An adjustment of a partner's period, and who entered it; one that was taken back stays on record."""

    id: UUID
    partner_id: UUID
    partner: str
    currency: str
    period: int
    adjustment: Adjustment
    entered_at: datetime
    who: Actor
    taken_back_at: datetime | None


_COLUMNS = "adjustments.*, partners.external_id AS partner, partners.currency"


async def insert(
    connection: asyncpg.Connection, who: Actor, partner_id: UUID, period: int, adjustment: Adjustment
) -> UUID:
    """Add an adjustment; returns its id."""
    adjustment_id = uuid4()
    tax = adjustment.tax
    await connection.execute(
        """
        INSERT INTO adjustments (id, partner_id, period, text, amount_minor, reason, own_tax, tax_category, tax_rate_bp,
            who_kind, who_id, who_name)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        """,
        adjustment_id,
        partner_id,
        period,
        adjustment.text,
        adjustment.amount_minor,
        adjustment.reason,
        adjustment.own_tax,
        tax.category if tax else None,
        int(tax.rate * 100) if tax else None,
        who.kind,
        who.id,
        who.name,
    )
    return adjustment_id


async def take_back(connection: asyncpg.Connection, adjustment_id: UUID) -> bool:
    """Let an adjustment count no more; False if it was taken back before."""
    changed: str = await connection.execute(
        "UPDATE adjustments SET taken_back_at = clock_timestamp() WHERE id = $1 AND taken_back_at IS NULL",
        adjustment_id,
    )
    return changed == "UPDATE 1"


async def read(connection: asyncpg.Connection, adjustment_id: UUID) -> AdjustmentEntry | None:
    """One adjustment."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM adjustments JOIN partners ON partners.id = partner_id WHERE adjustments.id = $1",  # noqa: S608 - _COLUMNS is a constant
        adjustment_id,
    )
    return _entry_from_row(row) if row else None


async def standing(
    connection: asyncpg.Connection, partner_ids: Sequence[UUID], period: int
) -> dict[UUID, list[AdjustmentEntry]]:
    """The adjustments of a period that count, as they were entered, of each partner."""
    entries: dict[UUID, list[AdjustmentEntry]] = {partner_id: [] for partner_id in partner_ids}
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS} FROM adjustments JOIN partners ON partners.id = partner_id
        WHERE partner_id = ANY($1::uuid[]) AND period = $2 AND taken_back_at IS NULL
        ORDER BY entered_at, adjustments.id
        """,  # noqa: S608 - _COLUMNS is a constant
        partner_ids,
        period,
    )
    for row in rows:
        entries[row["partner_id"]].append(_entry_from_row(row))
    return entries


async def page(
    connection: asyncpg.Connection,
    *,
    partner_id: UUID | None,
    period: int | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[AdjustmentEntry]:
    """Adjustments, also such as were taken back, the newest first."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS} FROM adjustments JOIN partners ON partners.id = partner_id
        WHERE ($1::uuid IS NULL OR partner_id = $1) AND ($2::int IS NULL OR period = $2)
            AND ($3::timestamptz IS NULL OR (entered_at, adjustments.id) < ($3, $4::uuid))
        ORDER BY entered_at DESC, adjustments.id DESC LIMIT $5
        """,  # noqa: S608 - _COLUMNS is a constant
        partner_id,
        period,
        *(before or (None, None)),
        limit,
    )
    return [_entry_from_row(row) for row in rows]


async def makers(
    connection: asyncpg.Connection, partner_ids: Sequence[UUID], periods: Sequence[int]
) -> list[tuple[UUID, int, Actor]]:
    """Everybody who ever entered an adjustment of these periods, each of the partner in the same place.

    Also of one that was taken back.
    """
    rows = await connection.fetch(
        """
        SELECT DISTINCT partner_id, period, who_kind, who_id, who_name FROM adjustments
        JOIN unnest($1::uuid[], $2::int[]) AS asked (partner_id, period) USING (partner_id, period)
        """,
        partner_ids,
        periods,
    )
    return [(row["partner_id"], row["period"], actor_from_row(row)) for row in rows]


def _entry_from_row(row: asyncpg.Record) -> AdjustmentEntry:
    category = row["tax_category"]
    tax = None if category is None else LineTax(TaxCategory(category), Decimal(row["tax_rate_bp"]) / 100)
    return AdjustmentEntry(
        id=row["id"],
        partner_id=row["partner_id"],
        partner=row["partner"],
        currency=row["currency"],
        period=row["period"],
        adjustment=Adjustment(row["text"], row["amount_minor"], row["reason"], tax, row["own_tax"]),
        entered_at=row["entered_at"],
        who=actor_from_row(row),
        taken_back_at=row["taken_back_at"],
    )
