"""Every lock of Leadger and the one order in which they are taken.

1. catalogue (advisory)   shared by batches; exclusive by a change of rates that name no partner
2. partner (advisory)     shared by batches, several in ascending key order; exclusive by close, reopen, change of
                          terms or rates
3. customer state (rows)  FOR UPDATE in ascending (partner, customer) order, by whoever changes verdicts
4. lead (unique key)      inserted in ascending id order: two batches with the same new leads wait, never deadlock
5. counters (rows)        upserted last, in ascending key order

People (advisory) is taken alone, in a transaction of its own, by whoever creates customers: two unique keys (id and
e-mail) cannot be inserted in one order, so creators queue. Report (advisory) is taken before counters, by whoever
corrects them: two corrections of one error would be an error. Task locks are held by a session for as long as a
background task runs; a killed worker's connection ends and frees them.

Always lock first, then read with a new statement, then compute.
"""

from collections.abc import Iterable
from uuid import UUID

import asyncpg

MIGRATION_LOCK = 0x4C454144_00000001
_CATALOGUE_LOCK = 0x4C454144_00000002
_PEOPLE_LOCK = 0x4C454144_00000003


async def share_partners(connection: asyncpg.Connection, partner_ids: Iterable[UUID]) -> None:
    """Keep the terms, rates and closed periods of the partners as they are until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", _CATALOGUE_LOCK)
    keys = sorted({_key(partner_id) for partner_id in partner_ids})
    await connection.execute("SELECT pg_advisory_xact_lock_shared(key) FROM unnest($1::bigint[]) AS key", keys)


async def own_partner(connection: asyncpg.Connection, partner_id: UUID) -> None:
    """Wait for the batches of the partner under way, and keep new ones out until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", _CATALOGUE_LOCK)
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _key(partner_id))


async def own_catalogue(connection: asyncpg.Connection) -> None:
    """Wait for all batches under way, and keep new ones out until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _CATALOGUE_LOCK)


async def own_people(connection: asyncpg.Connection) -> None:
    """Be the only one who creates customers until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _PEOPLE_LOCK)


async def own_report(connection: asyncpg.Connection, report_id: UUID) -> None:
    """Be the only one who corrects the counters of a report until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _key(report_id))


async def lock_customers(
    connection: asyncpg.Connection, customers: Iterable[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], int]:
    """Lock the state rows of (partner, customer) pairs and return the policy version each was judged by; 0 if never."""
    ordered = sorted(set(customers))
    partners, people = [pair[0] for pair in ordered], [pair[1] for pair in ordered]
    await connection.execute(
        """
        INSERT INTO customer_states (partner_id, customer_id, policy_version)
        SELECT partner_id, customer_id, 0 FROM unnest($1::uuid[], $2::uuid[]) AS wanted (partner_id, customer_id)
        ON CONFLICT DO NOTHING
        """,
        partners,
        people,
    )
    rows = await connection.fetch(
        """
        SELECT partner_id, customer_id, policy_version FROM customer_states
        WHERE (partner_id, customer_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        ORDER BY partner_id, customer_id
        FOR UPDATE
        """,
        partners,
        people,
    )
    return {(row["partner_id"], row["customer_id"]): row["policy_version"] for row in rows}


async def try_task(connection: asyncpg.Connection, task_id: UUID) -> bool:
    """Take the session lock of a background task; False if another worker holds it."""
    taken: bool = await connection.fetchval("SELECT pg_try_advisory_lock($1)", _key(task_id))
    return taken


async def leave_task(connection: asyncpg.Connection, task_id: UUID) -> None:
    """Give the session lock of a background task back."""
    await connection.execute("SELECT pg_advisory_unlock($1)", _key(task_id))


def _key(row_id: UUID) -> int:
    """A row key as the 64-bit key of an advisory lock; two rows that share one only wait for each other."""
    return int.from_bytes(row_id.bytes[8:], signed=True)
