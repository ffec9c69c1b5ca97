"""Which reports changed since they were last written."""

from uuid import UUID

import asyncpg

from db.ledger import report_changes


async def changed_reports(connection: asyncpg.Connection) -> list[tuple[UUID, int]]:
    """(partner, period) of those that a snapshot would look at."""
    return [(change.partner_id, change.period) for change in await report_changes.page(connection)]
