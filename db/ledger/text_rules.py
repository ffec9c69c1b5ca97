"""Bringing actions and leads that older rules of texts took under those of R1.

An older Leadger took a type with an invisible character in it for another one. What is open is keyed and judged again,
so the two become one. Nothing frozen changes, but what is open is a duplicate of a frozen winner that looks the same.
"""

from dataclasses import dataclass
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.policy import Policy
from billing.texts import text_key
from db.core import locks
from db.core.row_keys import duplicate_key
from db.ledger import reevaluation, winners
from db.ledger.case import Customer
from db.ledger.policies import Policies
from db.masters import text_findings

KIND = "apply_text_rules"
"""The kind of the task that does all this; migration 0013 starts it."""
START = UUID(int=0)
_ROWS_AT_ONCE = 50_000
_ODD = "(octet_length({0}) <> char_length({0}) OR {0} LIKE '%  %')"
"""Texts that the rules can read otherwise than before: those with characters beyond ASCII, and with two spaces."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a table that was read: its customers whose rows read otherwise now, and where the next part begins."""

    customers: set[Customer]
    next: UUID | None


async def customers_by_actions(connection: asyncpg.Connection, after: UUID) -> Part:
    """The customers whose actions have another duplicate key now, among some actions by id."""
    last = await _last(connection, "actions", after)
    rows = await connection.fetch(
        f"""
        SELECT partner_id, customer_id, product_id, action_type, engagement_level, duplicate_key FROM actions
        WHERE id > $1 AND ($2::uuid IS NULL OR id <= $2) AND {_ODD.format("action_type")}
        """,  # noqa: S608 - a condition of this module
        after,
        last,
    )
    return Part({(row["partner_id"], row["customer_id"]) for row in rows if _key(row) != row["duplicate_key"]}, last)


async def customers_by_leads(connection: asyncpg.Connection, after: UUID) -> Part:
    """The customers with leads whose type compares otherwise now, which can change prices, among some leads by id."""
    last = await _last(connection, "leads", after)
    rows = await connection.fetch(
        f"""
        SELECT DISTINCT partner_id, customer_id, lead_type FROM leads
        WHERE id > $1 AND ($2::uuid IS NULL OR id <= $2) AND {_ODD.format("lead_type")}
        """,  # noqa: S608 - a condition of this module
        after,
        last,
    )
    changed = [row for row in rows if text_key(row["lead_type"]) != row["lead_type"].casefold()]
    return Part({(row["partner_id"], row["customer_id"]) for row in changed}, last)


async def rekey(engine: AsyncEngine, policies: Policies, customer: Customer) -> None:
    """Key the actions of one customer anew, judge again what is open, and note what was found."""
    partner_id, customer_id = customer
    async with reevaluation.judging_transaction(engine, policies) as connection:
        await locks.lock_partners_shared(connection, [partner_id])
        await locks.lock_customers(connection, [customer])
        policy = (await policies.load(connection, [partner_id]))[partner_id]
        rows = await connection.fetch(
            f"""
            SELECT id, partner_id, customer_id, product_id, action_type, engagement_level, duplicate_key, billing_period
            FROM actions WHERE partner_id = $1 AND customer_id = $2 AND {_ODD.format("action_type")}
            ORDER BY billing_period, occurred_at, id
            """,  # noqa: S608 - a condition of this module
            partner_id,
            customer_id,
        )
        open_rows, frozen_rows = _divided(rows, policy)
        await connection.execute(
            """
            UPDATE actions SET duplicate_key = keyed.key FROM unnest($1::uuid[], $2::uuid[]) AS keyed (id, key)
            WHERE actions.id = keyed.id
            """,
            [row["id"] for row in open_rows],
            [_key(row) for row in open_rows],
        )
        await winners.delete(connection, ((row["duplicate_key"], row["id"]) for row in open_rows))
        for row in frozen_rows:
            await winners.hold_key_too(connection, _key(row), row["duplicate_key"], row["id"], policy.first_open)
        await reevaluation.rejudge(connection, policies, [customer])
        if rows:
            await text_findings.add(
                connection,
                "customer",
                f"{partner_id}/{customer_id}",
                f"{len(open_rows)} open actions were keyed and judged again, {len(frozen_rows)} frozen ones not",
            )


def _divided(rows: list[asyncpg.Record], policy: Policy) -> tuple[list[asyncpg.Record], list[asyncpg.Record]]:
    changed = [row for row in rows if _key(row) != row["duplicate_key"]]
    return (
        [row for row in changed if policy.is_open(row["billing_period"])],
        [row for row in changed if not policy.is_open(row["billing_period"])],
    )


def _key(row: asyncpg.Record) -> UUID:
    return duplicate_key(
        row["partner_id"],
        row["customer_id"],
        row["product_id"],
        text_key(row["action_type"]),
        text_key(row["engagement_level"]),
    )


async def _last(connection: asyncpg.Connection, table: str, after: UUID) -> UUID | None:
    """The last row of the part that follows; None if it reaches to the end of the table."""
    last: UUID | None = await connection.fetchval(
        f"SELECT id FROM {table} WHERE id > $1 ORDER BY id OFFSET {_ROWS_AT_ONCE:d} LIMIT 1",  # noqa: S608 - a table of this module
        after,
    )
    return last
