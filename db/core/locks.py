"""Every lock of Leadger and the one order in which they are taken. No other file locks anything.

A transaction takes its locks in this order, whichever of them it needs:

 1. names (advisory)          shared by whoever writes names of people into a file; exclusive by an erasure, so that it
                              starts on files only when nobody is writing the old name into one
 2. people (advisory)         exclusive, by whoever creates, changes or erases customers, alone in its transaction: two
                              unique keys (id and e-mail) cannot be inserted in one order, so creators queue
 3. partition (advisory)      tried, never waited for, by batches: two batches that share customers would only wait
 4. inbox, quarantine and     FOR UPDATE SKIP LOCKED, by whoever decides or retries their leads: a row that another
    dead letters (rows)       worker decides is passed over. An erasure waits for them in ascending id order, alone in
                              its transaction, and holds no other lock
 5. rate card (advisory)      exclusive by a change of rates that names no partner; shared by whoever creates a partner
                               or wants one exclusively. Not by batches: one that is under way when the change commits
                               leaves stale customers, which are judged again
 6. run items (rows)          FOR UPDATE SKIP LOCKED, by whoever bills them
 7. partner (advisory)        shared by batches, several in ascending key order; exclusive by close, reopen, change of
                              terms or rates
 8. bills (advisory)          of one partner: shared by whoever enters usage; exclusive by whoever issues a bill or
                              changes the contract, so that a bill is issued with what holds then
 9. customer state (rows)     inserted, if missing, then FOR UPDATE, both in ascending (partner, customer) order, by
                              whoever changes verdicts; SKIP LOCKED by the task that judges stale ones
10. period (unique key)       a partner's period, inserted in ascending key order by whoever first uses it
11. lead (unique key)         inserted in ascending id order: two batches with the same new leads wait, never deadlock
12. report (advisory)         exclusive, by whoever corrects its counters (twice corrected, they would be wrong again)
                              or erases a person from its files (two must not rewrite one file)
13. counters (rows)           upserted or FOR UPDATE, in ascending key order, so late that they are held shortly; what
                              their triggers note is inserted only, and so locks nothing
14. quarantine (unique key)   inserted in ascending content id order, like leads

The table of API keys is locked alone in a transaction, by whoever creates the first key or revokes one; so is the lock
of users, by whoever changes a role or deactivates somebody, and a person's row, shared, by a sign-in. A task's dedup
key (unique key) is inserted last, or the row of the unfinished task that has it is locked; just before, whoever starts
a task of which a caller or a partner has only some at a time locks these (advisory, exclusive), so that two who count
them do not both find one place. The task that judges stale customers locks its own row, and nothing else, to end.
Retention updates decided rows of the inbox, which nobody else locks any more.

Three locks are held by a session and not by a transaction: that of a background task for as long as the task runs,
that of the deliveries while a process sends messages to webhooks, so that none is sent twice at a time, and that of the
schema for as long as somebody migrates or makes a backup. When a process is killed, its connection ends and frees them.

Whoever judges shares one more lock, which nobody takes alone: it shows who may be judging by terms and rates that have
changed meanwhile.

Always lock first, then read with a new statement, then compute.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from uuid import UUID

import asyncpg

MIGRATION_LOCK = 0x4C454144_00000001
_RATE_CARD_LOCK = 0x4C454144_00000002
_PEOPLE_LOCK = 0x4C454144_00000003
PARTITION_LOCKS = 0x4C454145_00000000
_NAMES_LOCK = 0x4C454144_00000004
_USERS_LOCK = 0x4C454144_00000005
_DELIVERIES_LOCK = 0x4C454144_00000006
_JUDGING_LOCK = 0x4C454144_00000007
_BILLS_LOCKS = 0x4C454146_00000000
_WAITING_LOCKS = 0x4C454147_00000000
_PAUSE_S = 0.2
QUEUED_S, PASSING_S = 0.5, 0.25
"""For so long whoever wants a lock alone keeps those waiting who share it, and then lets them pass."""
SHARED_S = 0.1
"""For so long whoever shares a partner's lock waits for one customer, and then lets those pass who want it alone."""

# A range over both columns of the index, in its order, so that no plan reads what waits in other partitions, or all of
# this one. The statement around it calls the partition `one.lane` and the id from which it looks `one.start`.
IN_PARTITION = """
    done_at IS NULL AND (inbox.lane, inbox.id) >= (one.lane, one.start) AND (inbox.lane, inbox.id) < (one.lane + 1, 0)
"""

_RESOLVABLE = """
    reason IN ('unknown_product', 'unknown_customer')
    AND EXISTS (SELECT FROM products WHERE products.id = quarantine.product_id)
    AND (reason = 'unknown_product'
        OR EXISTS (SELECT FROM customers WHERE customers.id = quarantine.customer_id)
        OR EXISTS (SELECT FROM customer_aliases WHERE customer_aliases.id = quarantine.customer_id))
"""

_NAMES_ONE = """
    id = ANY (ARRAY(
        SELECT id FROM quarantine AS one WHERE one.resolved_at IS NULL AND one.product_id = ANY($2::uuid[])
        UNION SELECT id FROM quarantine AS one WHERE one.resolved_at IS NULL AND one.customer_id = ANY($2::uuid[])
    ))
"""

_TEXT_ABOUT_LEADS = {"inbox": "coalesce(result::text, '')", "quarantine": "detail", "dead_letters": "error"}
"""Where each table keeps a text of ours that may quote a lead."""


async def lock_schema_exclusive(connection: asyncpg.Connection) -> None:
    """Wait to be the only one who migrates, and stay so until the connection ends."""
    await _lock_schema(connection, "SELECT pg_try_advisory_lock($1)")


async def try_lock_partition(connection: asyncpg.Connection, partition: int) -> bool:
    """Lock a partition of the inbox until the transaction ends; False if another batch has it."""
    taken: bool = await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", PARTITION_LOCKS + partition)
    return taken


async def lock_inbox_rows(
    connection: asyncpg.Connection,
    partitions: Sequence[int],
    starts: Sequence[int],
    most_leads: int,
    most_bytes: int,
) -> list[asyncpg.Record]:
    """Lock and read waiting rows of the inbox, oldest first, until they hold `most_leads` or `most_bytes`.

    Each partition is looked through from its start on. `locked_by` is the transaction that locked a row last, 0 if none
    did.
    """
    # What waits has no result. By `done_at`, a plan could look for the ids in the index of what waits, one partition
    # after the other.
    return await connection.fetch(
        f"""
        SELECT id, batch_id, lane AS partition, request_id, received_at, payload, inbox.xmax::text::bigint AS locked_by,
            coalesce(partly_decided.leads, 0) AS decided, partly_decided.result
        FROM inbox LEFT JOIN partly_decided ON inbox_id = id
        WHERE inbox.result IS NULL AND id = ANY (ARRAY(
            SELECT id FROM (
                SELECT id, sum(lead_count) OVER (ORDER BY id) - lead_count AS leads_before,
                    sum(bytes) OVER (ORDER BY id) - bytes AS bytes_before
                FROM unnest($1::int[], $4::bigint[]) AS one (lane, start), LATERAL (
                    SELECT id, lead_count, octet_length(payload) AS bytes FROM inbox
                    WHERE {IN_PARTITION} ORDER BY inbox.lane, inbox.id LIMIT $2
                ) AS first
            ) AS counted
            WHERE leads_before < $2 AND bytes_before < $3
        ))
        ORDER BY id FOR UPDATE OF inbox SKIP LOCKED
        """,  # noqa: S608 - IN_PARTITION is a constant
        partitions,
        most_leads,
        most_bytes,
        starts,
    )


async def lock_resolvable_quarantine_rows(
    connection: asyncpg.Connection,
    most: int,
    most_bytes: int,
    *,
    only: Sequence[int] | None = None,
    among: Sequence[int] | None = None,
    waiting_for: UUID | None = None,
    after: int = 0,
) -> list[asyncpg.Record]:
    """Lock and read quarantined leads whose product and customer now exist (or may be created), oldest first.

    They are among some rows, among those that name a product or customer, or any. `only` names rows that a person wants
    to retry whatever the reason.
    """
    which: str = f"$2::bigint[] IS NULL AND {_RESOLVABLE}"
    value: Sequence[int] | Sequence[UUID] | None = None
    if only is not None:
        which, value = "id = ANY($2::bigint[])", only
    elif among is not None:
        which, value = f"id = ANY($2::bigint[]) AND {_RESOLVABLE}", among
    elif waiting_for is not None:
        which, value = f"{_NAMES_ONE} AND {_RESOLVABLE}", [waiting_for]
    return await connection.fetch(
        f"""
        SELECT id, batch_id, received_at, detail, payload FROM quarantine
        WHERE resolved_at IS NULL AND id = ANY (ARRAY(
            SELECT id FROM (
                SELECT id, sum(bytes) OVER (ORDER BY id) - bytes AS bytes_before FROM (
                    SELECT id, octet_length(payload) AS bytes FROM quarantine
                    WHERE resolved_at IS NULL AND id > $4 AND {which} ORDER BY id LIMIT $1
                ) AS first
            ) AS counted WHERE bytes_before < $3
        ))
        ORDER BY id FOR UPDATE SKIP LOCKED
        """,  # noqa: S608 - conditions of this module
        most,
        value,
        most_bytes,
        after,
    )


async def lock_open_quarantine_rows(connection: asyncpg.Connection, ids: Sequence[int]) -> list[int]:
    """Lock open rows of the quarantine; returns their ids. One that a worker decides is passed over."""
    rows = await connection.fetch(
        """
        SELECT id FROM quarantine WHERE id = ANY($1::bigint[]) AND resolved_at IS NULL
        ORDER BY id FOR UPDATE SKIP LOCKED
        """,
        ids,
    )
    return [row["id"] for row in rows]


async def lock_quarantine_rows_of_leads(
    connection: asyncpg.Connection, lead_ids: Sequence[UUID]
) -> list[asyncpg.Record]:
    """Lock and read open rows of the quarantine of some leads; one that another worker decides is passed over."""
    return await connection.fetch(
        """
        SELECT id, lead_id, received_at, reason, product_id, customer_id FROM quarantine
        WHERE lead_id = ANY($1::uuid[])
            AND coalesce(resolved_at, 'infinity') = 'infinity' -- by IS NULL Postgres may find all that is open
        ORDER BY id FOR UPDATE SKIP LOCKED
        """,
        lead_ids,
    )


async def lock_dead_letters(
    connection: asyncpg.Connection, ids: Sequence[int] | None, most: int, within: range
) -> list[asyncpg.Record]:
    """Lock and read unresolved dead letters with ids in a range, oldest first, all or the given ones."""
    return await connection.fetch(
        """
        SELECT id, inbox_id, batch_id, received_at, lead_id, payload FROM dead_letters
        WHERE resolved_at IS NULL AND ($1::bigint[] IS NULL OR id = ANY($1::bigint[])) AND id >= $3 AND id < $4
        ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
        """,
        ids,
        most,
        within.start,
        within.stop,
    )


async def lock_rows_that_name(
    connection: asyncpg.Connection,
    table: str,
    ids: range,
    received_until: datetime,
    in_payload: Sequence[bytes],
    in_text: Sequence[str],
) -> list[asyncpg.Record]:
    """Lock and read rows of inbox, quarantine or dead letters that hold one of the byte strings or texts of a person.

    Wait for the batch that decides a row: the row has its result only after that batch has committed.
    """
    return await connection.fetch(
        f"""
        SELECT * FROM {table}
        WHERE id >= $1 AND id < $2 AND received_at <= $3 AND (
            EXISTS (SELECT FROM unnest($4::bytea[]) AS one WHERE position(one IN payload) > 0)
            OR EXISTS (SELECT FROM unnest($5::text[]) AS one WHERE position(one IN {_TEXT_ABOUT_LEADS[table]}) > 0)
        )
        ORDER BY id FOR UPDATE
        """,  # noqa: S608 - a table of _TEXT_ABOUT_LEADS
        ids.start,
        ids.stop,
        received_until,
        in_payload,
        in_text,
    )


async def lock_customer_counters(
    connection: asyncpg.Connection, keys: Iterable[tuple[tuple[UUID, UUID], int]]
) -> set[tuple[tuple[UUID, UUID], int]]:
    """Lock the counters of ((partner, customer), period) and return which of them exist."""
    wanted = list(keys)
    rows = await connection.fetch(
        """
        SELECT partner_id, customer_id, period FROM customer_periods
        WHERE (partner_id, customer_id, period) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[]))
        ORDER BY partner_id, customer_id, period FOR UPDATE
        """,
        [partner_id for (partner_id, _), _ in wanted],
        [customer_id for (_, customer_id), _ in wanted],
        [period for _, period in wanted],
    )
    return {((row["partner_id"], row["customer_id"]), row["period"]) for row in rows}


async def lock_schema_shared(connection: asyncpg.Connection) -> None:
    """Keep the schema as it is until the connection ends."""
    await _lock_schema(connection, "SELECT pg_try_advisory_lock_shared($1)")


async def lock_partners_shared(connection: asyncpg.Connection, partner_ids: Iterable[UUID]) -> None:
    """Keep the terms and closed periods of the partners, and their own rates, as they are until the transaction ends.

    Rates for all partners can change meanwhile; what was judged without them is stale then.
    """
    await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", _JUDGING_LOCK)
    keys = sorted({_key(partner_id) for partner_id in partner_ids})
    await connection.execute("SELECT pg_advisory_xact_lock_shared(key) FROM unnest($1::bigint[]) AS key", keys)


async def wait_for_judging(connection: asyncpg.Connection) -> None:
    """Wait until all who may have read terms and rates before now have ended; others come and go meanwhile."""
    before = await _judging(connection)
    while before:
        await asyncio.sleep(_PAUSE_S)
        before &= await _judging(connection)


async def _judging(connection: asyncpg.Connection) -> set[str]:
    """The transactions that share the lock of whoever judges, but this one."""
    rows = await connection.fetch(
        """
        SELECT virtualtransaction FROM pg_locks
        WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND classid = $1 AND objid = $2 AND objsubid = 1 AND pid <> pg_backend_pid()
        """,
        _JUDGING_LOCK >> 32,
        _JUDGING_LOCK & 0xFFFFFFFF,
    )
    return {row["virtualtransaction"] for row in rows}


async def lock_partner_exclusive(connection: asyncpg.Connection, partner_id: UUID) -> None:
    """Wait for the batches of the partner under way, and keep new ones out until the transaction ends."""
    await lock_rate_card_shared(connection)
    await _lock_giving_way(connection, _key(partner_id))


async def try_lock_partners_exclusive(connection: asyncpg.Connection, partner_ids: Iterable[UUID]) -> bool:
    """The same of several partners, without waiting for any; False if one is in use, and then the others are held."""
    await lock_rate_card_shared(connection)
    keys = sorted({_key(partner_id) for partner_id in partner_ids})
    free: bool = await connection.fetchval(
        "SELECT bool_and(pg_try_advisory_xact_lock(key)) FROM unnest($1::bigint[]) AS key", keys
    )
    return free


async def lock_run_items(connection: asyncpg.Connection, item_ids: Iterable[UUID]) -> set[UUID]:
    """Lock those of some items of a run that are not finished; one that another process bills is passed over."""
    rows = await connection.fetch(
        """
        SELECT id FROM billing_run_items WHERE id = ANY($1::uuid[]) AND outcome IS NULL
        ORDER BY id FOR UPDATE SKIP LOCKED
        """,
        list(item_ids),
    )
    return {row["id"] for row in rows}


async def lock_bills_shared(connection: asyncpg.Connection, partner_id: UUID) -> None:
    """Keep the partner's bills from being issued until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", _key(partner_id) ^ _BILLS_LOCKS)


async def lock_bills_exclusive(connection: asyncpg.Connection, partner_id: UUID) -> None:
    """Be the only one who issues bills of the partner or changes its contract until the transaction ends."""
    await lock_bills_of_partners_exclusive(connection, [partner_id])


async def lock_bills_of_partners_exclusive(connection: asyncpg.Connection, partner_ids: Iterable[UUID]) -> None:
    """The same of several partners."""
    keys = sorted({_key(partner_id) ^ _BILLS_LOCKS for partner_id in partner_ids})
    await connection.execute("SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) AS key", keys)


async def lock_rate_card_shared(connection: asyncpg.Connection) -> None:
    """Keep rates for all partners from changing until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", _RATE_CARD_LOCK)


async def lock_rate_card_exclusive(connection: asyncpg.Connection) -> None:
    """Be the only one who changes rates, and keep partners and their closed periods as they are, until it ends."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _RATE_CARD_LOCK)


async def _lock_giving_way(connection: asyncpg.Connection, key: int) -> None:
    """Take an exclusive lock that batches share; raises LockNotAvailableError after the session's lock_timeout.

    While somebody waits for it, batches queue behind, also where others share it for seconds. So whoever does not get
    it soon steps back and lets them pass.
    """
    if await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", key):
        return
    patience = await _Patience.of(connection)
    while True:
        with suppress(asyncpg.LockNotAvailableError):
            async with patience.shortened(connection, QUEUED_S):
                await connection.execute("SELECT pg_advisory_xact_lock($1)", key)
                return
        patience.check()
        await asyncio.sleep(PASSING_S)


class _Patience:
    """How long a session waits for locks, from now on; for some of them it waits shorter, and tries again."""

    def __init__(self, setting: str, timeout_s: float) -> None:
        self._setting = setting
        self._deadline = time.monotonic() + (timeout_s or math.inf)

    @classmethod
    async def of(cls, connection: asyncpg.Connection) -> "_Patience":
        """That of the session, by its lock_timeout."""
        row = await connection.fetchrow(
            """
            SELECT setting, extract(epoch FROM setting::interval)::float8
            FROM current_setting('lock_timeout') AS setting
            """
        )
        assert row is not None
        return cls(*row)

    @asynccontextmanager
    async def shortened(self, connection: asyncpg.Connection, timeout_s: float) -> AsyncIterator[None]:
        """A part of the transaction that waits shorter; if it fails, the locks that it has taken are free again."""
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = '{round(timeout_s * 1000)}ms'")
            yield
            await connection.execute("SELECT set_config('lock_timeout', $1, true)", self._setting)

    def check(self) -> None:
        """Raise LockNotAvailableError, as Postgres would, once it is used up."""
        if time.monotonic() > self._deadline:
            raise asyncpg.LockNotAvailableError("canceling statement due to lock timeout")


async def lock_people_exclusive(connection: asyncpg.Connection) -> None:
    """Be the only one who creates, changes or erases customers until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _PEOPLE_LOCK)


async def lock_names_shared(connection: asyncpg.Connection) -> None:
    """Keep erasures waiting until the transaction ends, because it writes names of people into a file."""
    await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", _NAMES_LOCK)


async def lock_names_exclusive(connection: asyncpg.Connection) -> None:
    """Wait for all transactions that write names of people into a file."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _NAMES_LOCK)


async def lock_api_keys_exclusive(connection: asyncpg.Connection) -> None:
    """Be the only one who changes API keys until the transaction ends: one is the first, and one admin key stays."""
    await connection.execute("LOCK TABLE api_keys IN EXCLUSIVE MODE")


async def lock_users_exclusive(connection: asyncpg.Connection) -> None:
    """Be the only one who changes roles or deactivates people until the transaction ends: one Admin stays."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _USERS_LOCK)


async def lock_user_shared(connection: asyncpg.Connection, user_id: UUID) -> str | None:
    """Keep the password of a person as it is until the transaction ends; its hash, None for whoever may not sign in.

    Whoever changes it waits, and then ends the session that begins here.
    """
    row = await connection.fetchrow(
        "SELECT password_hash FROM users WHERE id = $1 AND deactivated_at IS NULL FOR SHARE", user_id
    )
    return row["password_hash"] if row else None


async def lock_report_exclusive(connection: asyncpg.Connection, report_id: UUID) -> None:
    """Be the only one who corrects the counters of a report or rewrites its files until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _key(report_id))


async def ensure_customer_states(connection: asyncpg.Connection, versions: Mapping[tuple[UUID, UUID], int]) -> None:
    """Insert the missing state rows of (partner, customer) pairs, each with the policy version it is judged by.

    Call it before `lock_customers`: whoever waits here for another batch with the same new customer holds no row lock
    that the other could want.
    """
    ordered = sorted(versions)
    await connection.execute(
        """
        INSERT INTO customer_states (partner_id, customer_id, policy_version)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS wanted (partner_id, customer_id, policy_version)
        WHERE (
            SELECT true FROM customer_states AS known
            WHERE known.partner_id = wanted.partner_id AND known.customer_id = wanted.customer_id
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
    return {
        (row["partner_id"], row["customer_id"]): row["policy_version"]
        for row in await _lock_states(connection, customers)
    }


async def lock_customers_of_leads(
    connection: asyncpg.Connection, customers: Iterable[tuple[UUID, UUID]]
) -> tuple[dict[tuple[UUID, UUID], int], set[tuple[UUID, UUID]]]:
    """The same, and which of the customers the partner's leads did not name by the person's own id alone."""
    rows = await _lock_states(connection, customers)
    return (
        {(row["partner_id"], row["customer_id"]): row["policy_version"] for row in rows},
        {(row["partner_id"], row["customer_id"]) for row in rows if row["has_carried_ids"]},
    )


async def _lock_states(connection: asyncpg.Connection, customers: Iterable[tuple[UUID, UUID]]) -> list[asyncpg.Record]:
    ordered = sorted(customers)
    return await connection.fetch(
        """
        SELECT partner_id, customer_id, policy_version, has_carried_ids
        FROM unnest($1::uuid[], $2::uuid[]) AS wanted (partner_id, customer_id)
        JOIN customer_states USING (partner_id, customer_id)
        ORDER BY partner_id, customer_id
        FOR UPDATE OF customer_states
        """,
        [partner_id for partner_id, _ in ordered],
        [customer_id for _, customer_id in ordered],
    )


async def lock_customer_of_partner(connection: asyncpg.Connection, partner_id: UUID, customer_id: UUID) -> int:
    """Share the partner's lock and lock one of its customers; returns the policy version the customer was judged by.

    Raises LockNotAvailableError after the session's lock_timeout. Who waits for a customer that another one has for
    long shares nothing meanwhile: whoever wants the partner alone would wait for both, and batches behind it.
    """
    customer = partner_id, customer_id
    patience = await _Patience.of(connection)
    while True:
        with suppress(asyncpg.LockNotAvailableError):
            async with patience.shortened(connection, SHARED_S):  # what it has locked is free again if it fails
                await lock_partners_shared(connection, [partner_id])
                return (await lock_customers(connection, [customer]))[customer]
        patience.check()
        with suppress(_CustomerIsFree):
            async with connection.transaction():
                await lock_customers(connection, [customer])
                raise _CustomerIsFree  # again, and the partner's lock comes first


class _CustomerIsFree(Exception):
    """Nobody has the customer any more."""


async def lock_stale_customers(
    connection: asyncpg.Connection, partner_ids: Iterable[UUID], most_each: int
) -> list[tuple[UUID, UUID]]:
    """Lock stale customers that nobody has locked, some of each partner; call it under the partners' locks.

    It waits for none of them, so their order does not matter.
    """
    rows = await connection.fetch(
        """
        SELECT stale.partner_id, stale.customer_id
        FROM unnest($1::uuid[]) AS one (id) JOIN partners USING (id), LATERAL (
            SELECT partner_id, customer_id FROM customer_states
            WHERE partner_id = partners.id
                AND customer_states.policy_version > 0 AND customer_states.policy_version < partners.policy_version
            ORDER BY customer_states.policy_version LIMIT $2 FOR UPDATE OF customer_states SKIP LOCKED
        ) AS stale
        """,
        list(partner_ids),
        most_each,
    )
    return [(row["partner_id"], row["customer_id"]) for row in rows]


async def lock_free_customers(
    connection: asyncpg.Connection, customers: Sequence[tuple[UUID, UUID]]
) -> list[tuple[UUID, UUID]]:
    """Lock those of the (partner, customer) pairs that nobody has locked; it waits for none, in whatever order."""
    rows = await connection.fetch(
        """
        SELECT partner_id, customer_id FROM unnest($1::uuid[], $2::uuid[]) AS wanted (partner_id, customer_id)
        JOIN customer_states USING (partner_id, customer_id) FOR UPDATE OF customer_states SKIP LOCKED
        """,
        [partner_id for partner_id, _ in customers],
        [customer_id for _, customer_id in customers],
    )
    return [(row["partner_id"], row["customer_id"]) for row in rows]


async def lock_unfinished_task(connection: asyncpg.Connection, kind: str, dedup_key: str | None) -> UUID | None:
    """Find the unfinished task of a kind with a dedup key, and keep it from ending until the transaction ends."""
    task_id: UUID | None = await connection.fetchval(
        "SELECT id FROM tasks WHERE kind = $1 AND dedup_key = $2 AND finished_at IS NULL FOR NO KEY UPDATE",
        kind,
        dedup_key,
    )
    return task_id


async def lock_waiting(connection: asyncpg.Connection, whose_id: UUID | None) -> None:
    """Be the only one who adds to what waits for a caller or of a partner until the transaction ends; None: Leadger."""
    key = _WAITING_LOCKS ^ (_key(whose_id) if whose_id else 0)
    await connection.execute("SELECT pg_advisory_xact_lock($1)", key)


async def lock_task_row(connection: asyncpg.Connection, task_id: UUID) -> None:
    """Wait for whoever relies on a task that has not ended, and keep others waiting until the transaction ends."""
    await connection.execute("SELECT FROM tasks WHERE id = $1 FOR NO KEY UPDATE", task_id)


async def try_lock_task(connection: asyncpg.Connection, task_id: UUID) -> bool:
    """Take the session lock of a background task; False if another worker holds it."""
    taken: bool = await connection.fetchval("SELECT pg_try_advisory_lock($1)", _key(task_id))
    return taken


async def unlock_task(connection: asyncpg.Connection, task_id: UUID) -> None:
    """Release the session lock of a background task."""
    await connection.execute("SELECT pg_advisory_unlock($1)", _key(task_id))


async def try_lock_deliveries(connection: asyncpg.Connection) -> bool:
    """Take the session lock of the one process that sends messages to webhooks; False if another one has it."""
    taken: bool = await connection.fetchval("SELECT pg_try_advisory_lock($1)", _DELIVERIES_LOCK)
    return taken


async def unlock_deliveries(connection: asyncpg.Connection) -> None:
    """Release the session lock of sending messages."""
    await connection.execute("SELECT pg_advisory_unlock($1)", _DELIVERIES_LOCK)


async def _lock_schema(connection: asyncpg.Connection, question: str) -> None:
    """Ask again and again: a migration may wait for every running statement, also for one that waits for the lock."""
    while not await connection.fetchval(question, MIGRATION_LOCK):  # noqa: ASYNC110 - another process has it
        await asyncio.sleep(_PAUSE_S)


def _key(row_id: UUID) -> int:
    """A row key as the 64-bit key of an advisory lock; two rows that share one only wait for each other."""
    return int.from_bytes(row_id.bytes[8:], signed=True)
