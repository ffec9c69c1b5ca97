"""What the database says after a load: totals by counter and by row, and when the last verdict was committed."""

import asyncio
import time
from datetime import datetime
from uuid import UUID

import asyncpg

from db.core.totals_rows import Row

Totals = dict[str, int]
"""leads, actions, gross, billed, duplicate_savings, cap_savings, and the count of each outcome."""

ByCustomer = dict[tuple[str, str], Totals]
"""Totals by (customer, period)."""

OUTCOMES = ("billed", "partly_billed", "capped", "duplicate", "held", "returned")
_MONEY = ("gross", "billed", "duplicate_savings", "cap_savings")

_COUNTED = ", ".join(
    [
        "count(DISTINCT lead_id) AS leads, count(*) AS actions, sum(value_minor)::bigint AS gross_minor",
        "sum(billed_minor)::bigint AS billed_minor",
        "coalesce(sum(value_minor) FILTER (WHERE outcome = 'duplicate'), 0)::bigint AS duplicate_savings_minor",
        "coalesce(sum(value_minor - billed_minor) FILTER (WHERE outcome IN ('partly_billed', 'capped')), 0)::bigint"
        " AS cap_savings_minor",
        *(f"count(*) FILTER (WHERE outcome = '{outcome}') AS {outcome}" for outcome in OUTCOMES),
    ]
)


async def counters(connection: asyncpg.Connection, period: int) -> ByCustomer:
    """The counters of customers in one period."""
    rows = await connection.fetch(
        """
        SELECT customers.external_id, customer_periods.* FROM customer_periods
        JOIN customers ON customers.id = customer_periods.customer_id WHERE period = $1
        """,
        period,
    )
    return {(row["external_id"], _period(row["period"])): _totals(row) for row in rows}


async def recounted(connection: asyncpg.Connection, period: int) -> ByCustomer:
    """The same, counted from the rows of actions."""
    rows = await connection.fetch(
        f"""
        SELECT customers.external_id, counted.* FROM (
            SELECT customer_id, billing_period AS period, {_COUNTED} FROM actions
            WHERE billing_period = $1 GROUP BY customer_id, billing_period
        ) AS counted JOIN customers ON customers.id = counted.customer_id
        """,  # noqa: S608 - names of our own columns
        period,
    )
    return {(row["external_id"], _period(row["period"])): _totals(row) for row in rows}


async def products(connection: asyncpg.Connection, period: int) -> dict[str, Totals]:
    """The counters of products in one period."""
    sums = ", ".join(f"sum(product_periods.{name})::bigint AS {name}" for name in _columns())
    rows = await connection.fetch(
        f"""
        SELECT products.external_id, {sums} FROM product_periods JOIN products ON products.id = product_id
        WHERE period = $1 GROUP BY products.external_id
        """,  # noqa: S608 - names of our own columns
        period,
    )
    return {row["external_id"]: _totals(row) for row in rows}


async def waiting(connection: asyncpg.Connection) -> int:
    """How many requests, or parts of them, are not decided yet."""
    count: int = await connection.fetchval("SELECT count(*) FROM inbox WHERE done_at IS NULL")
    return count


async def count_undecided(connection: asyncpg.Connection) -> int:
    """Leads in quarantine and among the dead letters; a load makes none."""
    count: int = await connection.fetchval(
        "SELECT (SELECT count(*) FROM quarantine) + (SELECT count(*) FROM dead_letters)"
    )
    return count


async def deadlocks(connection: asyncpg.Connection) -> int:
    """How many transactions Postgres ended because of a deadlock."""
    count: int = await connection.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    return count


async def wal_position(connection: asyncpg.Connection) -> int:
    """How many bytes the server ever wrote to its log of changes."""
    count: int = await connection.fetchval("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint")
    return count


async def decisions(connection: asyncpg.Connection) -> int:
    """How many leads were decided, as the batches that decided them have counted."""
    count: int = await connection.fetchval(
        "SELECT coalesce(sum(value), 0)::bigint FROM tallies WHERE starts_with(name, 'leads_')"
    )
    return count


async def commits(connection: asyncpg.Connection) -> dict[UUID, float]:
    """When the verdicts of each batch of a load became visible to others, by batch: seconds since the epoch."""
    rows = await connection.fetch(
        """
        SELECT batch_id, max(pg_xact_commit_timestamp(xmin)) AS committed_at FROM inbox
        WHERE done_at IS NOT NULL AND request_id <> 'stored' GROUP BY batch_id
        """
    )
    return {row["batch_id"]: _seconds(row["committed_at"]) for row in rows}


def drain(database_url: str, limit_s: float) -> tuple[float, dict[UUID, float]]:
    """Wait until nothing waits; the instant of the last commit, and of each batch. TimeoutError after `limit_s`."""
    return asyncio.run(_drain(database_url, limit_s))


async def _drain(database_url: str, limit_s: float) -> tuple[float, dict[UUID, float]]:
    connection = await asyncpg.connect(database_url)
    try:
        deadline = time.monotonic() + limit_s
        while left := await waiting(connection):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{left} chunks of leads were not decided within {limit_s:.0f} s")
            await asyncio.sleep(0.05)
        at = await commits(connection)
        return max(at.values(), default=0.0), at
    finally:
        await connection.close()


def _columns() -> list[str]:
    return ["leads", "actions", *(f"{name}_minor" for name in _MONEY), *OUTCOMES]


def _totals(row: Row) -> Totals:
    return {
        "leads": row["leads"],
        "actions": row["actions"],
        **{name: row[f"{name}_minor"] for name in _MONEY},
        **{f"{outcome} actions": row[outcome] for outcome in OUTCOMES},
    }


def _period(period: int) -> str:
    return f"{period // 100}-{period % 100:02d}"


def _seconds(instant: datetime) -> float:
    return instant.timestamp()
