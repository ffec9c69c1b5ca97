"""The statement of an account (B9)."""

from datetime import date
from uuid import UUID

import asyncpg

from billing.bills.account import EntryKind
from billing.bills.statement import Entry, Statement, statement


async def read(connection: asyncpg.Connection, partner_id: UUID, start: date, end: date) -> Statement:
    """What was booked from `start` to `end`, both included, with the account before and after."""
    before = await connection.fetchval(
        """
        SELECT coalesce(sum(amount_minor), 0)::bigint FROM account_entries WHERE partner_id = $1 AND booked_on < $2
        """,
        partner_id,
        start,
    )
    rows = await connection.fetch(
        """
        SELECT booked_on, position, kind, document, amount_minor, paid_on FROM account_entries
        WHERE partner_id = $1 AND booked_on BETWEEN $2 AND $3 ORDER BY booked_on, position
        """,
        partner_id,
        start,
        end,
    )
    return statement((_entry_from_row(row) for row in rows), start, end, before)


def _entry_from_row(row: asyncpg.Record) -> Entry:
    kind = EntryKind(row["kind"])
    return Entry(row["booked_on"], row["position"], kind, row["document"], row["amount_minor"], row["paid_on"])
