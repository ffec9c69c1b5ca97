"""Contracts as they are read: billing terms, settings and the CSM of partners in one look."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from billing.contracts.billing_terms import BillingTerms
from db.contracts import billing_settings, billing_terms, csm
from db.contracts.billing_settings import BillingSettings
from db.contracts.csm import Csm


@dataclass(frozen=True, slots=True)
class Contract:
    """What is agreed for the bills of a partner in a period; `since` is the first period of these terms."""

    terms: BillingTerms
    since: int
    settings: BillingSettings
    csm: Csm | None


async def read_many(
    connection: asyncpg.Connection, partner_ids: Sequence[UUID], period: int | None = None
) -> dict[UUID, Contract]:
    """The contract of each partner for a period, by default with its newest terms."""
    terms = await billing_terms.read_newest(connection, partner_ids, period)
    settings = await billing_settings.read_all(connection, partner_ids)
    people = await csm.read_all(connection, {agreed.csm_id for _, agreed in terms.values() if agreed.csm_id})
    contracts = {}
    for partner_id in partner_ids:
        since, agreed = terms.get(partner_id, (0, BillingTerms()))
        contracts[partner_id] = Contract(
            agreed,
            since,
            settings.get(partner_id, BillingSettings()),
            people[agreed.csm_id] if agreed.csm_id else None,
        )
    return contracts


async def read(connection: asyncpg.Connection, partner_id: UUID, period: int | None = None) -> Contract:
    """The contract of one partner."""
    return (await read_many(connection, [partner_id], period))[partner_id]


async def starts_of_versions(connection: asyncpg.Connection, partner_id: UUID) -> list[int]:
    """The periods with which versions of a partner's terms of either kind begin, oldest first."""
    rows = await connection.fetch(
        """
        SELECT from_period FROM partner_terms WHERE partner_id = $1
        UNION SELECT from_period FROM billing_terms WHERE partner_id = $1 ORDER BY 1
        """,
        partner_id,
    )
    return [row["from_period"] for row in rows]
