"""The partitions of the inbox, and where what waits in each of them begins.

A row that is decided stays in the index of what waits as long as some transaction is older than its decision. During a
backup, a long download or a rebuild that is every row decided since, and whoever looks from the beginning passes them
all. So a process remembers where each partition began when it last looked through the whole.
"""

import time

import asyncpg

PARTITIONS = 16
"""A customer's leads lie in one of eight partitions, its large rows in one of eight others, from FIRST_LARGE on. One
batch at a time works in a partition, so batches do not wait for each other. Partitions are for speed only: the locks of
customers keep verdicts right, whatever partition a row lies in.
"""

FIRST_LARGE = PARTITIONS // 2
"""The first of the partitions of large rows."""

FROM_THE_BEGINNING = (0,) * PARTITIONS

_LOOK_S = 1.0
"""A row that was committed after a row with a higher id is found at the next look, so late by this at most."""
_TIME_LOOKING = 0.05
"""Of all time at most, however much there is to pass."""
_MARGIN = 1_000
"""Ids before the first waiting row that are looked at all the same: of requests that are being stored just now."""


class PartitionStarts:
    """The id from which each partition is looked through; one per process."""

    def __init__(self) -> None:
        self._starts: tuple[int, ...] = FROM_THE_BEGINNING
        self._next_look_at = float("-inf")

    async def now(self, connection: asyncpg.Connection) -> tuple[int, ...]:
        """The starts, by partition; looks through the whole if the last look is a second old."""
        began = time.monotonic()
        if began >= self._next_look_at:
            self._starts = await _look(connection)
            took_s = time.monotonic() - began
            self._next_look_at = began + max(_LOOK_S, took_s / _TIME_LOOKING)
        return self._starts


async def _look(connection: asyncpg.Connection) -> tuple[int, ...]:
    """Some ids before the first waiting row of each partition; where none waits, before the newest row of all."""
    rows = await connection.fetch(
        """
        SELECT coalesce(
            (SELECT id FROM inbox WHERE done_at IS NULL AND (inbox.lane, inbox.id) >= (one.lane, 0)
                AND (inbox.lane, inbox.id) < (one.lane + 1, 0) ORDER BY inbox.lane, inbox.id LIMIT 1),
            newest, 0
        ) AS first
        FROM (SELECT max(id) AS newest FROM inbox) AS whole, generate_series(0, $1::int - 1) AS one (lane)
        ORDER BY one.lane
        """,
        PARTITIONS,
    )
    return tuple(max(row["first"] - _MARGIN, 0) for row in rows)
