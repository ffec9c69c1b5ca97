"""Every lock of Leadger and the one order in which they are taken.

0. lane (advisory)        tried, never waited for, by batches: two batches that share customers would only wait
1. catalogue (advisory)   shared by batches; exclusive by a change of rates that name no partner
2. partner (advisory)     shared by batches, several in ascending key order; exclusive by close, reopen, change of
                          terms or rates
3. customer state (rows)  inserted, if missing, then FOR UPDATE, both in ascending (partner, customer) order, by whoever
                          changes verdicts
4. lead (unique key)      inserted in ascending id order: two batches with the same new leads wait, never deadlock
5. counters (rows)        upserted last, in ascending key order

People (advisory) is taken alone, in a transaction of its own, by whoever creates customers: two unique keys (id and
e-mail) cannot be inserted in one order, so creators queue. Report (advisory) is taken before counters, by whoever
corrects them: two corrections of one error would be an error. Names (advisory) is taken before all of these, by whoever
erases a person or writes names into a file. Task locks are held by a session for as long as a background task runs, the
schema lock for as long as somebody migrates or makes a backup; a killed process's connection ends and frees them.

Always lock first, then read with a new statement, then compute.
"""

import asyncio
from collections.abc import Iterable, Mapping
from uuid import UUID

import asyncpg

MIGRATION_LOCK = 0x4C454144_00000001
_RATE_CARD_LOCK = 0x4C454144_00000002
_PEOPLE_LOCK = 0x4C454144_00000003
PARTITION_LOCKS = 0x4C454145_00000000
_NAMES_LOCK = 0x4C454144_00000004
_PAUSE_S = 0.2


async def lock_schema_exclusive(connection: asyncpg.Connection) -> None:
    """Be the only one who migrates until the connection ends."""
    await _ask_for_schema(connection, "SELECT pg_try_advisory_lock($1)")


async def try_lock_partition(connection: asyncpg.Connection, partition: int) -> bool:
    """Be the only batch at work in a lane of the inbox until the transaction ends; False if another one is."""
    taken: bool = await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", PARTITION_LOCKS + partition)
    return taken


async def lock_schema_shared(connection: asyncpg.Connection) -> None:
    """Keep the schema as it is until the connection ends."""
    await _ask_for_schema(connection, "SELECT pg_try_advisory_lock_shared($1)")


async def lock_partners_shared(connection: asyncpg.Connection, partner_ids: Iterable[UUID]) -> None:
    """Keep the terms, rates and closed periods of the partners as they are until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", _RATE_CARD_LOCK)
    keys = sorted({_key(partner_id) for partner_id in partner_ids})
    await connection.execute("SELECT pg_advisory_xact_lock_shared(key) FROM unnest($1::bigint[]) AS key", keys)


async def lock_partner_exclusive(connection: asyncpg.Connection, partner_id: UUID) -> None:
    """Wait for the batches of the partner under way, and keep new ones out until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", _RATE_CARD_LOCK)
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _key(partner_id))


async def lock_rate_card_exclusive(connection: asyncpg.Connection) -> None:
    """Wait for all batches under way, and keep new ones out until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _RATE_CARD_LOCK)


async def lock_people_exclusive(connection: asyncpg.Connection) -> None:
    """Be the only one who creates customers until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _PEOPLE_LOCK)


async def lock_names_shared(connection: asyncpg.Connection) -> None:
    """Be waited for by erasures until the transaction ends, because names of people are on their way into a file."""
    await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", _NAMES_LOCK)


async def lock_names_exclusive(connection: asyncpg.Connection) -> None:
    """Wait for all who carry names into a file."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _NAMES_LOCK)


async def lock_report_exclusive(connection: asyncpg.Connection, report_id: UUID) -> None:
    """Be the only one who corrects the counters of a report until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _key(report_id))


async def ensure_customer_states(connection: asyncpg.Connection, versions: Mapping[tuple[UUID, UUID], int]) -> None:
    """Make the state rows of (partner, customer) pairs that have none, each with the policy version it is judged by.

    Call it before `lock_customers`: whoever waits here for another batch that meets the same customer holds no lock
    that the other could want.
    """
    ordered = sorted(versions)
    await connection.execute(
        """
        INSERT INTO customer_states (partner_id, customer_id, policy_version)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS met (partner_id, customer_id, policy_version)
        WHERE (
            SELECT true FROM customer_states AS known
            WHERE known.partner_id = met.partner_id AND known.customer_id = met.customer_id
        ) IS NULL
        ON CONFLICT DO NOTHING
        """,
        [partner_id for partner_id, _ in ordered],
        [customer_id for _, customer_id in ordered],
        [versions[customer] for customer in ordered],
    )


async def lock_customers(
    connection: asyncpg.Connection, customers: Iterable[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], int]:
    """Lock the state rows of (partner, customer) pairs and return the policy version each was judged by."""
    ordered = sorted(customers)
    rows = await connection.fetch(
        """
        SELECT partner_id, customer_id, policy_version
        FROM unnest($1::uuid[], $2::uuid[]) AS wanted (partner_id, customer_id)
        JOIN customer_states USING (partner_id, customer_id)
        ORDER BY partner_id, customer_id
        FOR UPDATE OF customer_states
        """,
        [partner_id for partner_id, _ in ordered],
        [customer_id for _, customer_id in ordered],
    )
    return {(row["partner_id"], row["customer_id"]): row["policy_version"] for row in rows}


async def try_lock_task(connection: asyncpg.Connection, task_id: UUID) -> bool:
    """Take the session lock of a background task; False if another worker holds it."""
    taken: bool = await connection.fetchval("SELECT pg_try_advisory_lock($1)", _key(task_id))
    return taken


async def unlock_task(connection: asyncpg.Connection, task_id: UUID) -> None:
    """Give the session lock of a background task back."""
    await connection.execute("SELECT pg_advisory_unlock($1)", _key(task_id))


async def _ask_for_schema(connection: asyncpg.Connection, question: str) -> None:
    """Ask again and again, because whoever migrates may wait for every statement that runs, also for one that waits."""
    while not await connection.fetchval(question, MIGRATION_LOCK):  # noqa: ASYNC110 - who has it is another process
        await asyncio.sleep(_PAUSE_S)


def _key(row_id: UUID) -> int:
    """A row key as the 64-bit key of an advisory lock; two rows that share one only wait for each other."""
    return int.from_bytes(row_id.bytes[8:], signed=True)
