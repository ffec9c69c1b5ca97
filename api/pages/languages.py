"""The language in which a partner wants figures written."""

from uuid import UUID

import asyncpg

from billing.contracts.billing_terms import BillingTerms
from billing.contracts.preferences import Preferences
from db.contracts import billing_terms


def language_from_terms(terms: BillingTerms) -> str:
    """What the partner prefers; empty for the language with which every partner begins, which nobody has chosen."""
    chosen = terms.preferences.language
    return chosen if chosen != Preferences().language else ""


async def language_of_partner(connection: asyncpg.Connection, partner_id: UUID | None) -> str:
    """The language of a page about one partner; empty where it prefers none, and for a page about many."""
    if partner_id is None:
        return ""
    newest = await billing_terms.read_newest(connection, [partner_id])
    return language_from_terms(newest[partner_id][1]) if partner_id in newest else ""
