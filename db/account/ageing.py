"""What partners owe at the end of a day, by how long it has been due (B9)."""

from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

import asyncpg

from billing.bills.ageing import Ageing, ageing
from billing.bills.open_items import OpenItems
from db.account.open_items import item


@dataclass(slots=True)
class PartnerAgeing:
    """The ageing of one partner, in its currency."""

    partner: str
    currency: str
    items: OpenItems = field(default_factory=OpenItems)

    def at(self, as_of: date) -> Ageing:
        """The columns."""
        left = sum(credit.left_minor for credit in self.items.credits_left.values())
        return ageing(self.items.charges.values(), left, as_of)


async def of_partner(connection: asyncpg.Connection, partner_id: UUID, as_of: date) -> Ageing:
    """What one partner owed at the end of a day."""
    found = await page(connection, as_of, after=None, limit=1, partner_id=partner_id)
    return found[0].at(as_of) if found else Ageing()


async def page(
    connection: asyncpg.Connection, as_of: date, *, after: str | None, limit: int, partner_id: UUID | None = None
) -> list[PartnerAgeing]:
    """The partners that have an account, by their ids, with what was open and left at the end of a day.

    Whether a bill is disputed counts as it is now.
    """
    partners = await connection.fetch(
        """
        SELECT id, external_id, currency FROM partners
        WHERE ($1::text IS NULL OR external_id > $1) AND ($3::uuid IS NULL OR id = $3)
            AND EXISTS (SELECT FROM account_entries WHERE partner_id = partners.id)
        ORDER BY external_id LIMIT $2
        """,
        after,
        limit,
        partner_id,
    )
    found = {row["id"]: PartnerAgeing(row["external_id"], row["currency"]) for row in partners}
    rows = await connection.fetch(
        """
        SELECT entry.id, entry.partner_id, entry.amount_minor, entry.due_on, entry.position,
            bills.dispute IS NOT NULL AS is_disputed, (abs(entry.amount_minor) - coalesce((
                SELECT sum(uses.amount_minor) FROM account_uses AS uses
                WHERE uses.booked_on <= $2 AND uses.charge_id = entry.id
            ), 0) - coalesce((
                SELECT sum(uses.amount_minor) FROM account_uses AS uses
                WHERE uses.booked_on <= $2 AND uses.credit_id = entry.id
            ), 0))::bigint AS rest_minor
        FROM account_entries AS entry LEFT JOIN bills ON bills.id = entry.id
        WHERE entry.partner_id = ANY($1::uuid[]) AND entry.booked_on <= $2 AND entry.kind <> 'reversal' AND NOT EXISTS (
            SELECT FROM account_entries AS mirror WHERE mirror.reverses_id = entry.id AND mirror.booked_on <= $2
        )
        """,
        list(found),
        as_of,
    )
    for row in rows:
        one = item(
            row["id"], row["amount_minor"], row["due_on"], row["position"], row["rest_minor"], row["is_disputed"]
        )
        found[row["partner_id"]].items.add(one)
    return list(found.values())
