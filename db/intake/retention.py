"""Retention: what callers sent is deleted some time after it was decided; what still waits is kept, however old.

The ledger needs none of it: leads, actions and verdicts have rows of their own.
"""

import asyncpg

from db.telemetry import counters

_EMPTIED_THROUGH = "inbox_emptied_through"


async def empty_inbox(connection: asyncpg.Connection, older_than_days: int, most: int) -> int:
    """Empty the requests that were decided longer ago, oldest first; returns how many rows those were.

    The rows keep their results, so the status of a request can be read for ever. It stops before the first row that is
    too young or still waits, and begins there the next time, so it looks at each row once.
    """
    emptied = await connection.fetch(
        """
        WITH next AS (
            SELECT id, done_at < clock_timestamp() - make_interval(days => $2) AS is_due
            FROM inbox WHERE id > $1 ORDER BY id LIMIT $3
        )
        UPDATE inbox SET payload = '', lead_ids = '{}' FROM next
        WHERE inbox.id = next.id
            AND next.id < coalesce((SELECT min(id) FROM next WHERE is_due IS NOT TRUE), 9223372036854775807)
        RETURNING inbox.id
        """,
        await counters.one(connection, _EMPTIED_THROUGH),
        older_than_days,
        most,
    )
    if emptied:
        await counters.put(connection, _EMPTIED_THROUGH, max(row["id"] for row in emptied))
    return len(emptied)


async def delete_resolved(connection: asyncpg.Connection, table: str, older_than_days: int, most: int) -> int:
    """Delete leads that left the quarantine, or the dead letters, longer ago; returns how many those were.

    The condition is repeated in the DELETE, because a lead may be quarantined again in this moment; then it stays.
    """
    resolved = "resolved_at < clock_timestamp() - make_interval(days => $1)"
    status: str = await connection.execute(
        f"""
        DELETE FROM {table}
        WHERE {resolved} AND id IN (SELECT id FROM {table} WHERE {resolved} ORDER BY id LIMIT $2)
        """,  # noqa: S608 - the caller names one of two tables
        older_than_days,
        most,
    )
    return int(status.removeprefix("DELETE "))
