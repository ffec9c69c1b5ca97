"""The quarantine (R12): accepted leads that cannot be billed yet, kept with the reason until they can be."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import NAMESPACE_OID, UUID, uuid5

import asyncpg

from billing.leads import Lead
from db.core import locks
from db.core.actor import SYSTEM, Actor
from db.core.row_keys import customer_uuid
from db.core.unit_of_work import UnitOfWork
from db.intake.arrival import Arrival
from db.intake.payloads import lead_from_payload, payload_from_lead
from db.tasks import records as tasks
from db.telemetry import counters

RETRY = "retry_quarantine"
"""The kind of the background task that evaluates quarantined leads again."""

MOST_LOOKED_AT = 500
"""Rows of each kind that a sweep looks at, so that it costs the same however many wait."""

_LOOKED_THROUGH = "quarantine_looked_through"

CONFLICTS = frozenset({"conflict", "action_conflict"})

# A row that is open again, because the same content was sent again, has exits of another instant.
_SELECT = """
    SELECT id, batch_id, received_at, quarantine.reason, detail, payload, resolved_at,
        CASE WHEN resolved_at IS NULL THEN 'open' ELSE coalesce(state, 'decided') END AS state, left_by,
        quarantine_exits.reason AS left_because, (
            SELECT timezone FROM products JOIN partner_time_zones USING (partner_id)
            WHERE products.id = quarantine.product_id ORDER BY from_period DESC LIMIT 1
        ) AS timezone
    FROM quarantine LEFT JOIN quarantine_exits ON quarantine_id = id AND left_at = resolved_at
"""

_STATES = {
    "open": "resolved_at IS NULL",
    "decided": "resolved_at IS NOT NULL AND state IS NULL",
    "superseded": "state = 'superseded'",
    "discarded": "state = 'discarded'",
}
"""Conditions of `_SELECT`."""

_OF_PARTNER = "({0}::uuid IS NULL OR product_id IN (SELECT id FROM products WHERE partner_id = {0}))"


@dataclass(frozen=True, slots=True)
class QuarantinedLead:
    """A lead in quarantine, with the reason and a detail for people to read."""

    id: int
    batch_id: UUID
    received_at: datetime
    reason: str
    detail: str
    lead: Lead
    state: str
    """Open, decided, superseded (the lead came again and was decided) or discarded by a person."""
    left_at: datetime | None
    left_by: str | None
    left_because: str | None
    timezone: str | None
    """That of the product's partner; None of an unknown product."""


async def add(connection: asyncpg.Connection, arrivals: Iterable[tuple[UUID, Arrival]]) -> list[tuple[UUID, Arrival]]:
    """Quarantine leads, each given with its batch id; the same lead with the same content is kept once.

    Returns those that were not in quarantine before.
    """
    contents = {content_id_of(arrival): (batch_id, arrival) for batch_id, arrival in arrivals}
    if not contents:
        return []
    # The numbers follow the order of arrival, because of two leads in conflict the older one is decided first. The rows
    # are inserted in the order of their content ids, so that two batches with the same leads never deadlock.
    numbers = await connection.fetch(
        "SELECT nextval(pg_get_serial_sequence('quarantine', 'id')) AS id FROM generate_series(1, $1)", len(contents)
    )
    numbered = zip(sorted(row["id"] for row in numbers), contents.items(), strict=True)
    rows = sorted((content_id, number, *lead) for number, (content_id, lead) in numbered)
    sent = [arrival for _, _, _, arrival in rows]
    added = await connection.fetch(
        """
        WITH left_it AS (
            SELECT content_id FROM quarantine WHERE content_id = ANY($2::uuid[]) AND resolved_at IS NOT NULL
        )
        INSERT INTO quarantine
            (id, content_id, lead_id, batch_id, received_at, reason, detail, product_id, customer_id, payload)
        SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[], $6::text[],
            $7::text[], $8::uuid[], $9::uuid[], $10::bytea[])
        ON CONFLICT (content_id) DO UPDATE
            SET reason = excluded.reason, detail = excluded.detail, resolved_at = NULL
        RETURNING content_id, xmax = 0 OR content_id IN (SELECT content_id FROM left_it) AS is_new
        """,
        [number for _, number, _, _ in rows],
        [content_id for content_id, _, _, _ in rows],
        [arrival.id for arrival in sent],
        [batch_id for _, _, batch_id, _ in rows],
        [arrival.received_at for arrival in sent],
        [arrival.problem for arrival in sent],
        [arrival.detail for arrival in sent],
        [arrival.product_id for arrival in sent],
        [customer_uuid(arrival.lead.customer) for arrival in sent],
        [payload_from_lead(arrival.lead) for arrival in sent],
    )
    return [contents[row["content_id"]] for row in added if row["is_new"]]


async def rewrite(connection: asyncpg.Connection, row_id: int, arrival: Arrival, detail: str) -> None:
    """Give a row another payload, of a lead that means the same, and another detail."""
    await connection.execute(
        """
        UPDATE quarantine SET payload = $2, detail = $3, content_id = CASE
            WHEN EXISTS (SELECT FROM quarantine AS other WHERE other.content_id = $4) THEN content_id ELSE $4 END
        WHERE id = $1
        """,
        row_id,
        payload_from_lead(arrival.lead),
        detail,
        content_id_of(arrival),
    )


def content_id_of(arrival: Arrival) -> UUID:
    """The id of a lead's content: the same for the same lead, actions included, in whatever request it comes."""
    lead = arrival.lead
    actions = [
        (a.action_type, a.engagement_level, a.occurred_at.isoformat(), *([a.external_id] if a.external_id else []))
        for a in lead.actions
    ]
    return uuid5(NAMESPACE_OID, repr((arrival.id.hex, lead.customer, lead.product, lead.lead_type, actions)))


async def supersede(connection: asyncpg.Connection, decided: Sequence[Arrival]) -> None:
    """Let rows leave that came before a message of their lead which was decided now, and that contradict it.

    Those are conflicts, and rows with another product or customer id. What agrees is decided itself, so that no action
    of it is lost.
    """
    newest: dict[UUID, Arrival] = {}
    for arrival in sorted(decided, key=lambda each: each.received_at):
        newest[arrival.id] = arrival
    superseded = [
        row["id"]
        for row in await locks.lock_quarantine_rows_of_leads(connection, list(newest))
        if row["received_at"] < newest[row["lead_id"]].received_at and _contradicts(row, newest[row["lead_id"]])
    ]
    await _leave(connection, superseded, "superseded", SYSTEM, "The lead came again and was decided.")


async def discard(uow: UnitOfWork, ids: Sequence[int], reason: str) -> list[int]:
    """Let open rows leave because a person says so; returns their ids. A row that a worker decides just now stays."""
    locked = await locks.lock_open_quarantine_rows(uow.connection, ids)
    discarded = await _leave(uow.connection, locked, "discarded", uow.actor, reason)
    if discarded:
        await uow.audit("quarantine.discarded", "quarantine", after={"ids": discarded, "reason": reason})
    return discarded


def _contradicts(row: asyncpg.Record, arrival: Arrival) -> bool:
    named = (row["product_id"], row["customer_id"])
    return row["reason"] in CONFLICTS or named != (arrival.product_id, customer_uuid(arrival.lead.customer))


async def _leave(
    connection: asyncpg.Connection, ids: Sequence[int], state: str, actor: Actor, reason: str
) -> list[int]:
    if not ids:
        return []
    rows = await connection.fetch(
        """
        WITH gone AS (
            UPDATE quarantine SET resolved_at = clock_timestamp() WHERE id = ANY($1::bigint[])
            RETURNING id, lead_id, resolved_at
        )
        INSERT INTO quarantine_exits (quarantine_id, left_at, lead_id, state, left_by, reason)
        SELECT id, resolved_at, lead_id, $2, $3, $4 FROM gone RETURNING quarantine_id
        """,
        ids,
        state,
        actor.name,
        reason,
    )
    return sorted(row["quarantine_id"] for row in rows)


async def resolve(connection: asyncpg.Connection, ids: Iterable[int]) -> None:
    """Mark quarantined leads as decided."""
    await connection.execute(
        "UPDATE quarantine SET resolved_at = clock_timestamp() WHERE id = ANY($1::bigint[])", list(ids)
    )


async def next_to_look_at(connection: asyncpg.Connection, most: int = MOST_LOOKED_AT) -> list[int]:
    """The rows that a sweep looks at: the newest ones, and some of the others in turn.

    Whoever creates a product or a customer says so. This finds what nobody could say: a lead that was set aside in that
    moment, a message that was lost, a person whom a lead described.
    """
    newest = await connection.fetch(
        "SELECT id FROM quarantine WHERE resolved_at IS NULL ORDER BY id DESC LIMIT $1", most
    )
    ids = {row["id"] for row in newest}
    if len(ids) == most:
        in_turn = await connection.fetch(
            "SELECT id FROM quarantine WHERE resolved_at IS NULL AND id > $1 ORDER BY id LIMIT $2",
            await counters.one(connection, _LOOKED_THROUGH),
            most,
        )
        await counters.put(connection, _LOOKED_THROUGH, in_turn[-1]["id"] if len(in_turn) == most else 0)
        ids |= {row["id"] for row in in_turn}
    return sorted(ids)


async def page(
    connection: asyncpg.Connection,
    *,
    reason: str | None,
    after: int,
    limit: int,
    state: str = "open",
    partner_id: UUID | None = None,
) -> list[QuarantinedLead]:
    """Quarantined leads in a state, oldest first; of a partner, those that name one of its products."""
    rows = await connection.fetch(
        f"{_SELECT} WHERE {_STATES[state]} AND ($1::text IS NULL OR quarantine.reason = $1) AND id > $2"
        f" AND {_OF_PARTNER.format('$4')} ORDER BY id LIMIT $3",
        reason,
        after,
        limit,
        partner_id,
    )
    return [_lead_from_row(row) for row in rows]


async def count_open(connection: asyncpg.Connection, ids: Sequence[int] | None) -> int:
    """How many rows are open, of all or of those with some ids."""
    number: int = await connection.fetchval(
        """
        SELECT count(*) FROM quarantine WHERE resolved_at IS NULL AND ($1::bigint[] IS NULL OR id = ANY($1::bigint[]))
        """,
        ids,
    )
    return number


async def find_lead(
    connection: asyncpg.Connection, lead_id: UUID, *, partner_id: UUID | None = None
) -> QuarantinedLead | None:
    """The quarantined lead with this id that is open, or else was discarded; None if there is none (of the partner)."""
    for state in ("open", "discarded"):
        row = await connection.fetchrow(
            f"{_SELECT} WHERE quarantine.lead_id = $1 AND {_STATES[state]} AND {_OF_PARTNER.format('$2')}"
            " ORDER BY id LIMIT 1",
            lead_id,
            partner_id,
        )
        if row is not None:
            return _lead_from_row(row)
    return None


async def start_retry(uow: UnitOfWork, ids: Sequence[int] | None) -> UUID:
    """Start the task that evaluates quarantined leads again, all or the given rows; returns its id."""
    await uow.audit("quarantine.retried", "quarantine", after={"ids": ids})
    return await tasks.start(uow, RETRY, {"ids": ids})


def _lead_from_row(row: asyncpg.Record) -> QuarantinedLead:
    lead = lead_from_payload(row["payload"])
    return QuarantinedLead(
        id=row["id"],
        batch_id=row["batch_id"],
        received_at=row["received_at"],
        reason=row["reason"],
        detail=row["detail"],
        lead=lead,
        state=row["state"],
        left_at=row["resolved_at"],
        left_by=row["left_by"],
        left_because=row["left_because"],
        timezone=row["timezone"],
    )
