"""The ledger of all accounts as CSV (B9): every entry, in the order of booking of each partner."""

from collections.abc import AsyncGenerator
from uuid import UUID

import asyncpg

from billing.money import amount_from_minor
from db.reports.csv_format import csv_row

COLUMNS = (
    "partner",
    "position",
    "booked_on",
    "kind",
    "document",
    "external_id",
    "amount",
    "currency",
    "due_on",
    "paid_on",
    "reason",
    "entered_at",
    "entered_by",
    "entry_id",
    "reverses",
)
_AT_ONCE = 1000


async def check_readable(connection: asyncpg.Connection) -> None:
    """Raise what reading the ledger would raise now."""
    await connection.execute("SELECT FROM account_entries LIMIT 1")


async def csv_text(connection: asyncpg.Connection) -> AsyncGenerator[str, None]:
    """The file in blocks; amounts are what entries add to the account, so that those of a partner sum to it."""
    yield csv_row(COLUMNS)
    place: tuple[UUID | None, int] = None, 0
    while True:
        rows = await connection.fetch(
            """
            SELECT account_entries.*, partners.external_id AS partner, partners.currency
            FROM account_entries JOIN partners ON partners.id = partner_id
            WHERE $1::uuid IS NULL OR (partner_id, position) > ($1, $2::int)
            ORDER BY partner_id, position LIMIT $3
            """,
            *place,
            _AT_ONCE,
        )
        if not rows:
            return
        yield "".join(csv_row(_cells(row)) for row in rows)
        place = rows[-1]["partner_id"], rows[-1]["position"]


def _cells(row: asyncpg.Record) -> list[str]:
    values = [
        row["partner"],
        row["position"],
        row["booked_on"].isoformat(),
        row["kind"],
        row["document"],
        row["external_id"],
        amount_from_minor(row["amount_minor"]),
        row["currency"],
        row["due_on"].isoformat(),
        row["paid_on"] and row["paid_on"].isoformat(),
        row["reason"],
        row["entered_at"].isoformat(),
        row["who_name"],
        row["id"],
        row["reverses_id"],
    ]
    return ["" if value is None else str(value) for value in values]
