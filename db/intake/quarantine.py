"""The quarantine (R12): accepted leads that cannot be billed yet, kept with the reason until they can."""

from collections.abc import Iterable
from uuid import NAMESPACE_OID, UUID, uuid5

import asyncpg

from db.core.row_keys import customer_uuid
from db.intake import inbox
from db.intake.matching import Arrival


async def add(connection: asyncpg.Connection, aside: Iterable[tuple[UUID, Arrival]]) -> None:
    """Set leads aside, each given with its batch; the same lead with the same content is kept once."""
    contents = {content_id_of(arrival): (batch_id, arrival) for batch_id, arrival in aside}
    if not contents:
        return
    # Numbered as they came, because of two that contradict each other the older one enters; inserted in another order,
    # so that two batches with the same leads wait and never deadlock.
    numbers = await connection.fetch(
        "SELECT nextval(pg_get_serial_sequence('quarantine', 'id')) AS id FROM generate_series(1, $1)", len(contents)
    )
    numbered = zip(sorted(row["id"] for row in numbers), contents.items(), strict=True)
    kept = sorted((content_id, number, *held) for number, (content_id, held) in numbered)
    arrivals = [arrival for _, _, _, arrival in kept]
    await connection.execute(
        """
        INSERT INTO quarantine
            (id, content_id, lead_id, batch_id, received_at, reason, detail, product_id, customer_id, payload)
        SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[], $6::text[],
            $7::text[], $8::uuid[], $9::uuid[], $10::bytea[])
        ON CONFLICT (content_id) DO UPDATE
            SET reason = excluded.reason, detail = excluded.detail, resolved_at = NULL
        """,
        [number for _, number, _, _ in kept],
        [content_id for content_id, _, _, _ in kept],
        [arrival.id for arrival in arrivals],
        [batch_id for _, _, batch_id, _ in kept],
        [arrival.received_at for arrival in arrivals],
        [arrival.problem for arrival in arrivals],
        [arrival.detail for arrival in arrivals],
        [arrival.product_id for arrival in arrivals],
        [customer_uuid(arrival.lead.customer) for arrival in arrivals],
        [inbox.payload_from_lead(arrival.lead) for arrival in arrivals],
    )


def content_id_of(arrival: Arrival) -> UUID:
    """One id for one content, wherever in a request it stood."""
    lead = arrival.lead
    actions = [(a.action_type, a.engagement_level, a.occurred_at.isoformat()) for a in lead.actions]
    return uuid5(NAMESPACE_OID, repr((arrival.id.hex, lead.customer, lead.product, lead.lead_type, actions)))


async def resolve(connection: asyncpg.Connection, ids: Iterable[int]) -> None:
    """Mark quarantined leads as decided."""
    await connection.execute(
        "UPDATE quarantine SET resolved_at = clock_timestamp() WHERE id = ANY($1::bigint[])", list(ids)
    )


async def page(connection: asyncpg.Connection, *, reason: str | None, after: int, limit: int) -> list[asyncpg.Record]:
    """Unresolved quarantined leads, oldest first."""
    return await connection.fetch(
        """
        SELECT id, lead_id, batch_id, received_at, reason, detail, payload FROM quarantine
        WHERE resolved_at IS NULL AND ($1::text IS NULL OR reason = $1) AND id > $2 ORDER BY id LIMIT $3
        """,
        reason,
        after,
        limit,
    )


async def of_lead(connection: asyncpg.Connection, lead_id: UUID) -> asyncpg.Record | None:
    """The quarantined lead with this id, if there is one."""
    return await connection.fetchrow(
        """
        SELECT reason, detail, received_at, payload FROM quarantine
        WHERE lead_id = $1 AND resolved_at IS NULL ORDER BY id LIMIT 1
        """,
        lead_id,
    )
