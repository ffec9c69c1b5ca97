"""What was accepted for a partner's month and is not billed: it would be billed late if the month closed now."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg
import msgspec

from billing.policy import Policy
from db.core.row_keys import product_uuid
from db.intake.payloads import lead_from_payload

MOST_COUNTED = 10_000
"""Of quarantined leads whose partner nobody knows, and of dead letters, no more are looked through."""


@dataclass(frozen=True, slots=True)
class Undecided:
    """Leads, and of `held` actions, with an instant in the month.

    `waiting` are those of all partners and months that wait to be decided; closing waits for them. `unknown_product`
    may be of any partner. Dead letters that cannot be read count, because they may be of any partner too.
    """

    waiting: int
    quarantined: int
    unknown_product: int
    dead_letters: int
    held: int


async def count(connection: asyncpg.Connection, policy: Policy, period: int) -> Undecided:
    """Count what of a partner's month is not billed."""
    row = await connection.fetchrow(
        """
        SELECT (SELECT coalesce(sum(lead_count), 0)::bigint FROM inbox WHERE done_at IS NULL) AS waiting, (
            SELECT count(*) FROM quarantine JOIN products ON products.id = product_id
            WHERE resolved_at IS NULL AND partner_id = $1 AND EXISTS (
                SELECT FROM jsonb_array_elements(convert_from(payload, 'UTF8')::jsonb -> 'actions') AS action
                WHERE (action ->> 'occurred_at')::timestamptz >= $2 AND (action ->> 'occurred_at')::timestamptz < $3
            )
        ) AS quarantined, (
            SELECT count(*) FROM (
                SELECT payload FROM quarantine WHERE resolved_at IS NULL AND reason = 'unknown_product' LIMIT $5
            ) AS unknown
            WHERE EXISTS (
                SELECT FROM jsonb_array_elements(convert_from(payload, 'UTF8')::jsonb -> 'actions') AS action
                WHERE (action ->> 'occurred_at')::timestamptz >= $2 AND (action ->> 'occurred_at')::timestamptz < $3
            )
        ) AS unknown_product,
        (SELECT coalesce(sum(held), 0)::bigint FROM product_periods WHERE partner_id = $1 AND period = $4) AS held
        """,
        policy.partner_id,
        policy.calendar.start_of(period),
        policy.calendar.end_of(period),
        period,
        MOST_COUNTED,
    )
    assert row is not None
    return Undecided(**row, dead_letters=await _dead_letters(connection, policy, period))


async def _dead_letters(connection: asyncpg.Connection, policy: Policy, period: int) -> int:
    products: set[UUID] = {
        row["id"] for row in await connection.fetch("SELECT id FROM products WHERE partner_id = $1", policy.partner_id)
    }
    start, end = policy.calendar.start_of(period), policy.calendar.end_of(period)
    found = 0
    for row in await connection.fetch(
        "SELECT payload FROM dead_letters WHERE resolved_at IS NULL ORDER BY id LIMIT $1", MOST_COUNTED
    ):
        try:
            lead = lead_from_payload(row["payload"])
        except msgspec.MsgspecError:
            found += 1
            continue
        in_month = any(start <= action.occurred_at < end for action in lead.actions)
        found += in_month and product_uuid(lead.product) in products
    return found
