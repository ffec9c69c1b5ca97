"""Whose leads wait. Rows of the inbox name no partner, so accepting costs no look-up; their leads name products."""

from collections import Counter
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import msgspec

from db.core.locks import IN_PARTITION
from db.core.row_keys import product_uuid
from db.intake.partitions import FROM_THE_BEGINNING, PARTITIONS
from db.masters import products

MOST_LEADS, MOST_BYTES = 10_000, 4_000_000
"""As much is read: some 30 ms of computing, however much waits."""

_ROWS_AT_ONCE = 100
"""The process answers others between them."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Leads that wait, by partner.

    `of_nobody` are those that cannot be told: of products that nobody has created, and behind the first MOST_LEADS.
    """

    of_partners: dict[UUID, int]
    of_nobody: int


class _Lead(msgspec.Struct):
    product: str


_products_from_payload = msgspec.json.Decoder(list[_Lead]).decode


async def count(connection: asyncpg.Connection, most_leads: int = MOST_LEADS) -> Waiting:
    """Count them in a transaction that reads one snapshot, in the first `most_leads` rows at most."""
    named: Counter[str] = Counter()
    leads = 0
    async for row in connection.cursor(
        f"""
        SELECT lead_count, CASE WHEN leads_up_to <= $1 AND bytes_up_to <= $2 THEN payload END AS payload FROM (
            SELECT lead_count, payload, sum(lead_count) OVER so_far AS leads_up_to,
                sum(octet_length(payload)) OVER so_far AS bytes_up_to
            FROM unnest($3::int[], $4::bigint[]) AS one (lane, start), LATERAL (
                SELECT lead_count, payload FROM inbox WHERE {IN_PARTITION} ORDER BY inbox.lane, inbox.id LIMIT $1
            ) AS of_partition
            WINDOW so_far AS (ROWS UNBOUNDED PRECEDING)
            LIMIT $1
        ) AS waiting
        """,  # noqa: S608 - IN_PARTITION is a constant
        most_leads,
        MOST_BYTES,
        range(PARTITIONS),
        FROM_THE_BEGINNING,
        prefetch=_ROWS_AT_ONCE,
    ):
        leads += row["lead_count"]
        if row["payload"] is not None:
            named.update(_products_named(row["payload"]))
    found = await _by_partner(connection, named)
    return Waiting(found, leads - found.total())


def _products_named(payload: bytes) -> list[str]:
    """The product of each lead; of a damaged payload none."""
    try:
        return [lead.product for lead in _products_from_payload(payload)]
    except msgspec.MsgspecError:
        return []


async def _by_partner(connection: asyncpg.Connection, named: Counter[str]) -> Counter[UUID]:
    ids = {name: product_uuid(name) for name in named}
    partner_of = await products.partners_of(connection, ids.values())
    found: Counter[UUID] = Counter()
    for name, product_id in ids.items():
        if product_id in partner_of:
            found[partner_of[product_id]] += named[name]
    return found
