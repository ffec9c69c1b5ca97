"""What a bill takes over from the contract (B3), as it holds for its partner and period."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from billing.contracts.billing_terms import BillingTerms
from db.contracts import reading, seller
from db.contracts.seller import Seller


@dataclass(frozen=True, slots=True)
class PartnerBlock:
    """The partner as bills name it."""

    external_id: str
    name: str
    billing_email: str | None
    address: str | None
    tax_id: str | None


@dataclass(frozen=True, slots=True)
class AgreedTerms:
    """The sources of a bill but its lines: terms, partner, seller and currency. `seller` None: nobody has named one."""

    terms: BillingTerms
    partner: PartnerBlock
    seller: Seller | None
    currency: str


async def read(connection: asyncpg.Connection, partner_id: UUID, period: int) -> AgreedTerms:
    """The terms of the bill of an existing partner and a period, as they are now."""
    return (await read_many(connection, [partner_id], period))[partner_id]


async def read_many(
    connection: asyncpg.Connection, partner_ids: Sequence[UUID], period: int
) -> dict[UUID, AgreedTerms]:
    """The terms of the bills of existing partners for one period, as they are now."""
    rows = await connection.fetch(
        "SELECT id, external_id, name, billing_email, currency FROM partners WHERE id = ANY($1::uuid[])", partner_ids
    )
    contracts = await reading.read_many(connection, partner_ids, period)
    named = await seller.read(connection)
    agreed = {}
    for row in rows:
        terms = contracts[row["id"]].terms
        block = PartnerBlock(row["external_id"], row["name"], row["billing_email"], terms.address, terms.tax_id)
        agreed[row["id"]] = AgreedTerms(terms, block, named, row["currency"])
    return agreed
