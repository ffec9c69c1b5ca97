"""Telling webhooks of leads in quarantine (R12)."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

import asyncpg

from billing.webhooks.events import Event
from db.core.row_keys import customer_uuid
from db.intake.arrival import Arrival
from db.masters import products
from db.outgoing import events

MOST_LEADS = 100
"""So many leads are in one message."""


async def tell(connection: asyncpg.Connection, quarantined: Sequence[tuple[UUID, Arrival]]) -> None:
    """Tell of leads that went into quarantine, each with its batch id: those of one partner, or of none, together."""
    if not quarantined or not (found := await events.subscribers(connection, Event.LEAD_QUARANTINED)):
        return
    partners = await products.partners_of(connection, [arrival.product_id for _, arrival in quarantined])

    def partner(each: tuple[UUID, Arrival]) -> str:
        return str(partners.get(each[1].product_id, ""))

    told = [
        ({"leads": [_lead(*each) for each in leads[start : start + MOST_LEADS]]}, UUID(key) if key else None)
        for key, group in groupby(sorted(quarantined, key=partner), partner)
        for leads in [list(group)]
        for start in range(0, len(leads), MOST_LEADS)
    ]
    await events.write(connection, Event.LEAD_QUARANTINED, told, found)


def _lead(batch_id: UUID, arrival: Arrival) -> dict[str, Any]:
    """A lead as a webhook tells it: of the person only the key, and no detail, which may quote what names people."""
    lead = arrival.lead
    return {
        "lead_id": lead.external_id,
        "source": lead.source or None,
        "customer_id": customer_uuid(lead.customer),
        "product": lead.product,
        "lead_type": lead.lead_type,
        "reason": arrival.problem,
        "batch_id": batch_id,
        "received_at": arrival.received_at,
    }
