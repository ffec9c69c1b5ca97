"""Which bills are overdue: open, and due before today where their partner is."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from db.account import booking
from db.bills.records import BillHead


async def among(connection: asyncpg.Connection, heads: Sequence[BillHead], now: datetime) -> set[UUID]:
    """The ids of those that are."""
    today = await booking.days_at(connection, {head.partner_id for head in heads}, now)
    return {head.id for head in heads if head.due_on and head.open_minor and head.due_on < today[head.partner_id]}
