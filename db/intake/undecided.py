"""What was accepted for a partner's month and is not billed: it would be billed late if the month closed now."""

from dataclasses import dataclass

import asyncpg

from billing.policy import Policy
from billing.rates import BEGINNING
from db.intake import backlog

MOST_COUNTED = 10_000
"""Of each kind no more rows are looked through."""


@dataclass(frozen=True, slots=True)
class Undecided:
    """Leads, and of `held` actions, with an instant in the month, or in an earlier one too if these were asked for.

    `waiting` are those of all partners and months that wait to be decided; closing waits for them. `unknown_product`
    may be of any partner. Dead letters that cannot be read count, because they may be of any partner too. Where rows
    were left out, `complete` is False, and there may be more of each.
    """

    waiting: int
    quarantined: int
    unknown_product: int
    dead_letters: int
    held: int
    complete: bool


async def count(
    connection: asyncpg.Connection, policy: Policy, period: int, *, with_earlier: bool = False
) -> Undecided:
    """Count what of a partner's month is not billed, `with_earlier` of all months before it too.

    Postgres reads the payloads, so the caller's process does not.
    """
    row = await connection.fetchrow(
        """
        WITH partners_products AS MATERIALIZED (SELECT id, external_id FROM products WHERE partner_id = $1),
        quarantined AS MATERIALIZED (
            SELECT payload FROM quarantine
            WHERE resolved_at IS NULL AND product_id = ANY(ARRAY(SELECT id FROM partners_products)) LIMIT $5
        ),
        unknown AS MATERIALIZED (
            SELECT payload FROM quarantine WHERE resolved_at IS NULL AND reason = 'unknown_product' LIMIT $5
        ),
        dead AS MATERIALIZED (
            SELECT lead_id, payload FROM dead_letters WHERE resolved_at IS NULL ORDER BY id LIMIT $5
        )
        SELECT
            (SELECT count(*) FROM quarantined WHERE lead_in_month(payload, $2, $3)) AS quarantined,
            (SELECT count(*) FROM unknown WHERE lead_in_month(payload, $2, $3)) AS unknown_product,
            (
                SELECT count(*) FROM dead WHERE CASE WHEN lead_id IS NULL THEN true ELSE
                    lead_in_month(payload, $2, $3) AND EXISTS (
                        SELECT FROM partners_products
                        WHERE convert_from(payload, 'UTF8')::jsonb ->> 'product' IN (external_id, id::text)
                    )
                END
            ) AS dead_letters,
            (
                SELECT coalesce(sum(held), 0)::bigint FROM product_periods
                WHERE partner_id = $1 AND period BETWEEN $6 AND $4
            ) AS held,
            greatest(
                (SELECT count(*) FROM quarantined), (SELECT count(*) FROM unknown), (SELECT count(*) FROM dead)
            ) < $5 AS complete
        """.replace("lead_in_month(payload, $2, $3)", _IN_MONTH),
        policy.partner_id,
        BEGINNING if with_earlier else policy.calendar.start_of(period),
        policy.calendar.end_of(period),
        period,
        MOST_COUNTED,
        0 if with_earlier else period,
    )
    assert row is not None
    return Undecided(**row, waiting=await backlog.leads(connection, MOST_COUNTED))


_IN_MONTH = """
    EXISTS (
        SELECT FROM jsonb_array_elements(convert_from(payload, 'UTF8')::jsonb -> 'actions') AS action
        WHERE (action ->> 'occurred_at')::timestamptz >= $2 AND (action ->> 'occurred_at')::timestamptz < $3
    )
"""
