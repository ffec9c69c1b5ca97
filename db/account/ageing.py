"""What partners owe at the end of a day, by how long it has been due (B9)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

import asyncpg

from billing.bills.ageing import Ageing, ageing
from billing.bills.open_items import OpenItems
from db.account import booking
from db.account.open_items import item


@dataclass(slots=True)
class PartnerAgeing:
    """The ageing of one partner at the end of a day, in its currency."""

    partner: str
    currency: str
    as_of: date
    items: OpenItems = field(default_factory=OpenItems)

    @property
    def columns(self) -> Ageing:
        """What is open by how long it has been due."""
        left = sum(credit.left_minor for credit in self.items.credits_left.values())
        return ageing(self.items.charges.values(), left, self.as_of)


async def of_partner(connection: asyncpg.Connection, partner_id: UUID, as_of: date) -> Ageing:
    """What one partner owed at the end of a day."""
    found = await page(connection, as_of, after=None, limit=1, partner_id=partner_id)
    return found[0].columns if found else Ageing()


async def of_partners(connection: asyncpg.Connection, partner_ids: Sequence[UUID], at: datetime) -> dict[UUID, Ageing]:
    """What each of some partners owes on the day on which it books at an instant."""
    partners = await connection.fetch(
        "SELECT id, external_id, currency FROM partners WHERE id = ANY($1::uuid[])", partner_ids
    )
    return {partner_id: found.columns for partner_id, found in (await _read(connection, partners, at)).items()}


async def page(
    connection: asyncpg.Connection,
    as_of: date | datetime,
    *,
    after: str | None,
    limit: int,
    partner_id: UUID | None = None,
) -> list[PartnerAgeing]:
    """The partners that have an account, by their ids, with what was open and left at the end of a day.

    An instant is the day on which the partner books then. Whether a bill is disputed counts as it is now.
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
    return list((await _read(connection, partners, as_of)).values())


async def _read(
    connection: asyncpg.Connection, partners: Sequence[asyncpg.Record], as_of: date | datetime
) -> dict[UUID, PartnerAgeing]:
    ids = [row["id"] for row in partners]
    if isinstance(as_of, datetime):
        days = await booking.booking_days(connection, ids, as_of)
    else:
        days = dict.fromkeys(ids, as_of)
    found = {row["id"]: PartnerAgeing(row["external_id"], row["currency"], days[row["id"]]) for row in partners}
    rows = await connection.fetch(
        """
        SELECT entry.id, entry.partner_id, entry.amount_minor, entry.due_on, entry.position,
            bills.dispute IS NOT NULL AS is_disputed, (abs(entry.amount_minor) - coalesce((
                SELECT sum(uses.amount_minor) FROM account_uses AS uses
                WHERE uses.booked_on <= as_of AND uses.charge_id = entry.id
            ), 0) - coalesce((
                SELECT sum(uses.amount_minor) FROM account_uses AS uses
                WHERE uses.booked_on <= as_of AND uses.credit_id = entry.id
            ), 0))::bigint AS rest_minor
        FROM unnest($1::uuid[], $2::date[]) AS asked (partner_id, as_of)
        JOIN account_entries AS entry USING (partner_id) LEFT JOIN bills ON bills.id = entry.id
        WHERE entry.booked_on <= as_of AND entry.kind <> 'reversal' AND NOT EXISTS (
            SELECT FROM account_entries AS mirror WHERE mirror.reverses_id = entry.id AND mirror.booked_on <= as_of
        )
        """,
        ids,
        [days[partner_id] for partner_id in ids],
    )
    for row in rows:
        one = item(
            row["id"], row["amount_minor"], row["due_on"], row["position"], row["rest_minor"], row["is_disputed"]
        )
        found[row["partner_id"]].items.add(one)
    return found
