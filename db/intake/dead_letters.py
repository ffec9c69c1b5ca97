"""Dead letters: leads that could not be decided because of a fault, kept with its error until somebody retries them."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from billing.leads import Lead
from db.core import locks
from db.core.row_keys import product_uuid
from db.core.unit_of_work import UnitOfWork
from db.intake import inbox
from db.intake.payloads import lead_from_payload
from db.masters import partners, products
from db.tasks.notifications import PROCESS_LEADS

_LONGEST_ERROR = 2000
MOST_RETRIED = 1000
"""Dead letters that one call puts back."""
_MOST_BYTES_LOOKED_AT = 20_000
"""Of one dead letter, to see whom it is about."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What could not be decided: a lead, or the whole payload of a row if no lead could be read from it.

    `inbox_id` is 0 for a lead that comes from the quarantine.
    """

    inbox_id: int
    batch_id: UUID
    received_at: datetime
    lead_id: UUID | None
    payload: bytes
    error: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An unresolved dead letter, without its payload."""

    id: int
    lead_id: UUID | None
    batch_id: UUID
    received_at: datetime
    created_at: datetime
    error: str


async def add(connection: asyncpg.Connection, failures: Sequence[Failure]) -> None:
    """Keep what could not be decided."""
    if not failures:
        return
    await connection.copy_records_to_table(
        "dead_letters",
        records=[
            (each.inbox_id, each.batch_id, each.received_at, each.lead_id, each.payload, each.error[:_LONGEST_ERROR])
            for each in failures
        ],
        columns=["inbox_id", "batch_id", "received_at", "lead_id", "payload", "error"],
    )


async def page(connection: asyncpg.Connection, *, after: int, limit: int) -> list[DeadLetter]:
    """Unresolved dead letters, oldest first."""
    rows = await connection.fetch(
        """
        SELECT id, lead_id, batch_id, received_at, created_at, error FROM dead_letters
        WHERE resolved_at IS NULL AND id > $1 ORDER BY id LIMIT $2
        """,
        after,
        limit,
    )
    return [DeadLetter(**row) for row in rows]


async def zones(connection: asyncpg.Connection, ids: Sequence[int]) -> dict[int, str]:
    """The time zones of the partners whose products dead letters name; those of which that is not told are left out."""
    rows = await connection.fetch(
        """
        SELECT id, payload FROM dead_letters
        WHERE id = ANY($1::bigint[]) AND lead_id IS NOT NULL AND octet_length(payload) <= $2
        """,
        ids,
        _MOST_BYTES_LOOKED_AT,
    )
    named = {}
    for row in rows:
        with suppress(msgspec.MsgspecError):
            named[row["id"]] = product_uuid(lead_from_payload(row["payload"]).product)
    owners = await products.partners_of(connection, set(named.values()))
    found = await partners.zones(connection, set(owners.values()))
    return {row_id: found[owners[product_id]] for row_id, product_id in named.items() if product_id in owners}


async def find_lead(connection: asyncpg.Connection, lead_id: UUID) -> Lead | None:
    """The lead with this id among the unresolved dead letters; None if it is not there."""
    payload = await connection.fetchval(
        "SELECT payload FROM dead_letters WHERE lead_id = $1 AND resolved_at IS NULL ORDER BY id LIMIT 1", lead_id
    )
    return None if payload is None else lead_from_payload(payload)


@dataclass(frozen=True, slots=True)
class Retried:
    """How many dead letters went back, of how many that were left to try, and the ids that are left after these."""

    retried: int
    of: int
    left: range | None


async def retry(
    uow: UnitOfWork, ids: Sequence[int] | None, within: range | None = None, most: int = MOST_RETRIED
) -> Retried:
    """Put dead letters back into the inbox, all or the given ones, `most` of them, and announce them.

    `within` is what an earlier call left: ids up to the last one there was then, so that a lead which fails again is
    not tried for ever. A damaged payload, which has no lead id, stays.
    """
    if within is None:
        newest: int = await uow.connection.fetchval("SELECT coalesce(max(id), 0) FROM dead_letters")
        within = range(1, newest + 1)
    of: int = await uow.connection.fetchval(
        """
        SELECT count(*) FROM dead_letters WHERE resolved_at IS NULL AND id >= $2 AND id < $3
            AND ($1::bigint[] IS NULL OR id = ANY($1::bigint[]))
        """,
        ids,
        within.start,
        within.stop,
    )
    locked = await locks.lock_dead_letters(uow.connection, ids, most, within)
    rows = [row for row in locked if row["lead_id"]]
    await inbox.add_again(
        uow.connection, [(row["batch_id"], row["received_at"], row["lead_id"], row["payload"]) for row in rows]
    )
    await uow.connection.execute(
        "UPDATE dead_letters SET resolved_at = clock_timestamp() WHERE id = ANY($1::bigint[])",
        [row["id"] for row in rows],
    )
    if rows:
        await uow.audit("dead_letters.retried", "dead_letters", after={"ids": [row["id"] for row in rows]})
    uow.notify(PROCESS_LEADS)
    left = range(locked[-1]["id"] + 1, within.stop) if len(locked) == most else None
    return Retried(len(rows), of, left)
